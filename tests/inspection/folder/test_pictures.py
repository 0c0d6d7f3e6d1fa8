"""The pictures of a folder: found in order with their labels, read whatever they are, in batches of one size."""

import gzip
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.inspection.folder.pictures import batches, find_pictures, read_pixels, sized


def test_pictures_lie_in_order_and_their_folder_is_their_label(pets: Path) -> None:
    found = find_pictures(pets)
    assert len(found) == 18 and list(found.names) == sorted(found.names)
    assert found.names[0] == "spots/0.png" and found.labels == ("spots",) * 9 + ("stripes",) * 9
    some = find_pictures(pets, most=4)
    assert len(some) == 4 and set(some.labels) == {"spots", "stripes"}


def test_idx_files_are_pictures_with_labels(tmp_path: Path) -> None:
    digits = np.arange(3 * 5 * 4, dtype=np.uint8).reshape(3, 5, 4)
    for name, values in (("t10k-images-idx3-ubyte", digits), ("t10k-labels-idx1-ubyte", np.array([7, 2, 1], np.uint8))):
        head = bytes([0, 0, 8, values.ndim]) + b"".join(side.to_bytes(4, "big") for side in values.shape)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(head + values.tobytes()))
    found = find_pictures(tmp_path)
    assert found.labels == ("7", "2", "1") and found.names[2] == "t10k-images-idx3-ubyte.gz#2"
    pixels = read_pixels(found.paths[2])
    assert pixels.shape == (1, 3, 5, 4) and float(pixels[0, 1, 0, 0]) == pytest.approx(40 / 255)
    assert find_pictures(tmp_path / "t10k-images-idx3-ubyte.gz").paths == found.paths


def test_gray_palette_and_transparent_pictures_are_read_as_colours_on_white(tmp_path: Path) -> None:
    Image.new("L", (8, 6), 51).save(tmp_path / "gray.png")
    Image.new("P", (8, 6), 0).save(tmp_path / "palette.png")
    Image.new("RGBA", (8, 6), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert torch.allclose(read_pixels(tmp_path / "gray.png"), torch.full((1, 3, 6, 8), 0.2), atol=1e-3)
    assert read_pixels(tmp_path / "palette.png").shape == (1, 3, 6, 8)
    assert (read_pixels(tmp_path / "clear.png") == 1).all()


def test_the_longer_side_is_the_size_or_both_are(pets: Path) -> None:
    path = find_pictures(pets).paths[0]
    assert sized(path, 32).shape == (1, 3, 24, 32) and sized(path, 32, "square").shape == (1, 3, 32, 32)


def test_every_picture_comes_once_and_batches_are_of_one_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(23):
        write(tmp_path / f"{number:02}.png", Picture(torch.full((1, 3, 16, 16 + 4 * (number % 5)), number / 23)))
    (tmp_path / "07.png").write_bytes(b"")
    paths = find_pictures(tmp_path).paths
    with caplog.at_level(logging.WARNING, "impasto"):
        found = list(batches(paths, 16, 4))
    places = [place for some, _ in found for place in some]
    assert sorted(places) == [place for place in range(23) if place != 7]
    assert all(len(some) == len(pictures) <= 4 for some, pictures in found)
    for some, pictures in found:
        assert torch.allclose(pictures.mean((1, 2, 3)), torch.tensor(some) / 23, atol=0.01)
    assert len(caplog.records) == 1 and "07.png" in caplog.records[0].getMessage()


def test_a_folder_that_is_missing_empty_or_a_file_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        find_pictures(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no pictures"):
        find_pictures(tmp_path)
    (tmp_path / "one.png").write_bytes(b"x")
    with pytest.raises(UsageError, match="is a file"):
        find_pictures(tmp_path / "one.png")
