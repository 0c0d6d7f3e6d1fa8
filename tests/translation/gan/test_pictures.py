"""Real pictures for a generator: from folders and idx files, small, in an order and at places that the seed says."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.translation.gan.pictures import load_pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven pictures of seven colours, wide, high and square."""
    for number, (height, width) in enumerate([(40, 60), (60, 40), (32, 32), (20, 20), (33, 300), (64, 48), (50, 50)]):
        path = tmp_path / "photos" / ("a" if number % 2 else "b") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = torch.tensor([(number + 1) / 10, 0.5, 0.1]).view(1, 3, 1, 1)
        write(path, Picture(colour.expand(1, 3, height, width).contiguous()))
    return tmp_path / "photos"


def digits(path: Path, count: int = 10) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    data = bytes([0, 0, 8, 3]) + np.array([count, 28, 28], ">i4").tobytes() + pixels.tobytes()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(data))
    return path


def test_every_picture_is_shown_before_any_comes_again(folder: Path) -> None:
    pictures = load_pictures(folder, 16)
    assert len(pictures) == 7 and pictures.channels == 3
    seen = torch.cat([pictures.batch(number, 7, seed=1)[:, 0, 8, 8] for number in range(3)])
    walks = (seen * 10).round().int().view(3, 7)
    assert all(sorted(walk.tolist()) == [1, 2, 3, 4, 5, 6, 7] for walk in walks)
    assert len({tuple(walk.tolist()) for walk in walks}) == 3


def test_a_batch_depends_on_its_seed_and_number_alone(folder: Path) -> None:
    one, other = load_pictures(folder, 16), load_pictures(folder, 16)
    one.batch(0, 4, seed=1)
    assert torch.equal(one.batch(5, 4, seed=1, flip=True), other.batch(5, 4, seed=1, flip=True))
    assert not torch.equal(one.batch(5, 4, seed=1), one.batch(5, 4, seed=2))
    assert torch.equal(torch.cat([one.batch(n, 2, seed=1) for n in (4, 5)]), one.batch(2, 4, seed=1))


def test_crops_come_from_all_places_along_the_longer_side_and_flips_from_half(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 32, 64).contiguous()
    for name in "ab":
        write(tmp_path / f"{name}.png", Picture(ramp))
    pictures = load_pictures(tmp_path, 32)
    lefts = [float(one[0, 0, 0]) for one in pictures.batch(0, 100, seed=0)]
    assert min(lefts) < 0.05 and max(lefts) > 0.45
    rising = [bool(one[0, 0, -1] > one[0, 0, 0]) for one in pictures.batch(0, 200, seed=0, flip=True)]
    assert 70 < sum(rising) < 130
    assert all(bool(one[0, 0, -1] > one[0, 0, 0]) for one in pictures.batch(0, 50, seed=0))


def test_all_are_of_the_size_asked_for_in_zero_to_one(folder: Path) -> None:
    batch = load_pictures(folder, 64).batch(0, 7, seed=0)
    assert batch.shape == (7, 3, 64, 64) and batch.dtype == torch.float32
    assert batch.min() > 0.09 and batch.max() < 0.71


def test_transparent_pictures_lie_on_white(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.png", Picture(torch.zeros(1, 3, 20, 20), alpha=torch.zeros(1, 1, 20, 20)))
    assert float(load_pictures(tmp_path, 16).batch(0, 2, seed=0).min()) == 1


def test_digits_of_idx_files_have_one_channel(tmp_path: Path) -> None:
    file = digits(tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz")
    digits(tmp_path / "mnist" / "train-images-idx3-ubyte.gz", 5)
    assert len(load_pictures(file, 32)) == 10
    pictures = load_pictures(tmp_path / "mnist", 32)
    assert len(pictures) == 15 and pictures.batch(0, 3, seed=0).shape == (3, 1, 32, 32)


def test_a_folder_of_gray_pictures_has_one_channel_until_there_is_a_colour(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png", Picture(torch.full((1, 3, 20, 24), number / 4)))
    gray = load_pictures(tmp_path, 16)
    assert gray.channels == 1 and gray.batch(0, 3, seed=0).shape == (3, 1, 16, 16)
    write(
        tmp_path / "red.png", Picture(torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1).expand(1, 3, 20, 20).contiguous())
    )
    assert load_pictures(tmp_path, 16).channels == 3


def test_the_hash_tells_whether_a_picture_has_changed(folder: Path) -> None:
    before = load_pictures(folder, 16).sha256
    assert load_pictures(folder, 16).sha256 == before
    write(folder / "a" / "1.png", Picture(torch.full((1, 3, 60, 40), 0.21)))
    assert load_pictures(folder, 16).sha256 != before


def test_broken_files_are_passed_over_with_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "broken.jpg").write_bytes(b"no picture")
    assert len(load_pictures(folder, 16)) == 7
    assert "1 of 8 pictures were passed over" in caplog.text and "broken.jpg" in caplog.text


def test_reading_is_told_of(folder: Path) -> None:
    told: list[tuple[float, str]] = []
    load_pictures(folder, 16, progress=lambda done, words: told.append((done, words)))
    assert len(told) == 7 and told[-1][0] == 1 and told[0][1] == "reading a/1.png"


def test_sources_without_pictures_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "one.png", Picture(torch.zeros(1, 3, 4, 4)))
    (tmp_path / "x-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03")
    for name, words in (
        ("nowhere", "no folder of pictures"),
        ("one.png", "no folder of pictures"),
        ("empty", "holds no pictures"),
        ("x-images-idx3-ubyte", "damaged"),
    ):
        with pytest.raises(UsageError, match=words):
            load_pictures(tmp_path / name, 16)
    (tmp_path / "x-images-idx3-ubyte").unlink()
    with pytest.raises(UsageError, match="1 pictures that can be read"):
        load_pictures(tmp_path, 16)


@pytest.mark.realdata
def test_real_digits_and_photographs_are_read(shared: Path) -> None:
    pictures = load_pictures(shared / "data" / "mnist-t10k", 32)
    assert len(pictures) == 10_000
    batch = pictures.batch(0, 64, seed=0)
    assert batch.min() == 0 and batch.max() == 1 and 0.05 < float(batch.mean()) < 0.2
    assert load_pictures(shared / "data" / "contents", 32).channels == 3
