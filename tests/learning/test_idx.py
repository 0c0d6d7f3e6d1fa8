"""IDX files: read once, checked, with their labels."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import UsageError
from impasto.images import idx
from impasto.learning.scan import scan


def write(folder: Path, name: str, values: np.ndarray, *, zipped: bool = True) -> Path:
    head = bytes([0, 0, 8, values.ndim]) + b"".join(side.to_bytes(4, "big") for side in values.shape)
    data = head + values.astype(np.uint8).tobytes()
    path = folder / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(data) if zipped else data)
    return path


@pytest.fixture
def digits() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)


def test_pictures_and_labels_are_read_zipped_or_not(tmp_path: Path, digits: np.ndarray) -> None:
    zipped = write(tmp_path, "train-images-idx3-ubyte", digits)
    plain = write(tmp_path, "t10k-images-idx3-ubyte", digits, zipped=False)
    write(tmp_path, "train-labels-idx1-ubyte", np.arange(6), zipped=False)
    np.testing.assert_array_equal(idx.images(zipped), digits)
    np.testing.assert_array_equal(idx.read_image(plain, 3), digits[3])
    assert idx.labels(zipped) == ["0", "1", "2", "3", "4", "5"]
    assert idx.labels(plain) is None
    assert idx.images(zipped) is idx.images(zipped), "unpacked twice"


def test_number_signs_in_folders_and_of_files_are_told_from_places(tmp_path: Path, digits: np.ndarray) -> None:
    from impasto.learning.pictures import Preprocessing, read_pixels

    folder = tmp_path / "set#1" / "more#2"
    folder.mkdir(parents=True)
    path = write(folder, "t10k-images-idx3-ubyte", digits)
    assert idx.place(f"{path}#3") == (path, 3) and idx.place(folder) is idx.place(path) is None
    manifest = scan(folder)
    assert manifest.file(5) == path and manifest.column("width") == [4] * 6
    assert read_pixels(manifest, 5, Preprocessing(4)).shape == (3, 4, 4)
    (folder / f"{path.name}#3").touch()
    assert idx.place(f"{path}#3") is None


def test_a_file_that_changes_is_read_again(tmp_path: Path, digits: np.ndarray) -> None:
    path = write(tmp_path, "t10k-images-idx3-ubyte", digits)
    idx.images(path)
    write(tmp_path, "t10k-images-idx3-ubyte", digits[:2])
    assert len(idx.images(path)) == 2


@pytest.mark.parametrize(
    "data, words",
    [
        (gzip.compress(bytes(range(200)))[:-30], "download it again"),
        (b"\x1f\x8b" + bytes(50), "download it again"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 5]), "no idx file of bytes with 3 dimensions"),
        (bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9]), "cut short"),
        (b"", "no idx file"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        idx.images(path)


def test_a_number_that_is_not_there_and_labels_that_do_not_fit(tmp_path: Path, digits: np.ndarray) -> None:
    path = write(tmp_path, "t10k-images-idx3-ubyte", digits)
    with pytest.raises(UsageError, match="0 to 5"):
        idx.read_image(path, 6)
    write(tmp_path, "t10k-labels-idx1-ubyte", np.arange(4))
    with pytest.raises(UsageError, match="4 labels for 6 pictures"):
        idx.labels(path)


def test_a_folder_of_idx_files_is_scanned(tmp_path: Path, digits: np.ndarray) -> None:
    for name in ("train", "t10k"):
        write(tmp_path, f"{name}-images-idx3-ubyte", digits)
        write(tmp_path, f"{name}-labels-idx1-ubyte", np.arange(6) % 2)
    manifest = scan(tmp_path)
    assert manifest.counts("split") == {"test": 6, "train": 6}
    assert manifest.paths[1] == "t10k-images-idx3-ubyte.gz#1"
    assert manifest.file(1) == tmp_path / "t10k-images-idx3-ubyte.gz"
    assert manifest.column("width")[0] == 4
    assert manifest.column("sha256")[:6] == manifest.column("sha256")[6:]
    alone = scan(tmp_path / "t10k-images-idx3-ubyte.gz")
    assert alone.counts("split") == {None: 6}


@pytest.mark.realdata
def test_mnist_is_read(shared: Path) -> None:
    folder = shared / "data" / "mnist-t10k"
    path = folder / "t10k-images-idx3-ubyte.gz"
    assert idx.images(path).shape == (10_000, 28, 28)
    assert (idx.labels(path) or [])[:5] == ["7", "2", "1", "0", "4"]
