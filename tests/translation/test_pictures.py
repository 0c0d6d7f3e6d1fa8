"""Pictures to learn from: how a folder is divided, what is kept in memory, and which crops a seed gives."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from impasto.errors import UsageError
from impasto.images.resample import imresize
from impasto.translation import pictures as room
from impasto.translation.pictures import Pictures, middle, mirrored_to, records, split, unchanged

SIZES = [(40, 48), (33, 20), (9, 50), (5, 7), (40, 40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, (height, width) in enumerate(SIZES):
        levels = np.random.default_rng(number).integers(0, 256, (height, width, 3)).astype("u1")
        Image.fromarray(levels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def paths(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


# How a folder is divided


def test_a_part_is_taken_out_by_chance_and_all_the_rest_is_learnt_from(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{number:02}.png" for number in range(18)), "deep/18.jpg", "deep/19.webp", "notes.txt")
    found = split(tmp_path, 0.3, 0)
    assert (len(found.train), len(found.valid)) == (14, 6) and not set(found.train) & set(found.valid)
    everything = sorted([*found.train, *found.valid])
    assert [path.name for path in everything] == [*(f"{n:02}.png" for n in range(18)), "18.jpg", "19.webp"]
    assert list(found.train) == sorted(found.train) and found == split(tmp_path, 0.3, 0)
    assert found.valid != split(tmp_path, 0.3, 1).valid
    assert found.valid != tuple(everything[:6]) and found.valid != tuple(everything[-6:])
    assert split(tmp_path, 0.0, 0).valid == () and len(split(tmp_path, 0.999, 0).train) == 1


def test_what_is_set_apart_already_stays_so(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.png", "train/b.png", "train/c.png", "val/v.png", "beside.png")
    found = split(tmp_path, 0.5, 0)
    assert found.train == tuple(tmp_path / "train" / f"{name}.png" for name in "abc")
    assert found.valid == (tmp_path / "val" / "v.png",)
    touch(tmp_path, "valid/w.png")
    assert split(tmp_path, 0.5, 0).valid == (tmp_path / "valid" / "w.png",)


def test_of_a_train_folder_alone_a_part_is_taken(tmp_path: Path) -> None:
    touch(tmp_path, *(f"train/{number}.png" for number in range(4)), "beside.png")
    found = split(tmp_path, 0.5, 0)
    assert len(found.train) == len(found.valid) == 2
    assert all(path.parent.name == "train" for path in found.train + found.valid)


def test_too_few_pictures_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no pictures"):
        split(tmp_path, 0.1, 0)
    touch(tmp_path, "one.png")
    with pytest.raises(UsageError, match="holds 1 picture to learn from: that takes 2 at least"):
        split(tmp_path, 0.1, 0)
    with pytest.raises(UsageError, match="nowhere"):
        split(tmp_path / "nowhere", 0.1, 0)


def test_what_is_below_valid_is_never_learnt_from(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "more/b.png", "valid/c.png", "valid/in/d.png")
    found = split(tmp_path, 0.5, 0)
    assert found.train == (tmp_path / "a.png", tmp_path / "more/b.png")
    assert found.valid == (tmp_path / "valid/c.png", tmp_path / "valid/in/d.png")


def test_pictures_of_a_run_are_known_by_their_content(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        path.write_bytes(path.name.encode())
    kept = records(paths)
    assert unchanged(kept) == tuple(paths)
    paths[0].write_bytes(b"A.png")  # as long as it was
    with pytest.raises(
        UsageError, match=r"missing or changed since: picture .*a\.png; say where to look with --search"
    ):
        unchanged(kept)
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved/other.png").write_bytes(b"a.png")
    assert unchanged(kept, [tmp_path / "moved"]) == (tmp_path / "moved/other.png", paths[1])


# What is kept


def test_a_picture_is_the_levels_of_its_file_and_smaller_by_matlab_s_bicubic(paths: list[Path]) -> None:
    pictures = Pictures(paths, memory=2**20)
    for number, path in enumerate(paths):
        levels = torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1)
        assert torch.equal(pictures.get(number), levels)
    assert len(pictures) == 5
    small = pictures.get(0, 0.5)
    wanted = imresize(pictures.get(0)[None].double() / 255, scale=0.5)[0].clamp(0, 1) * 255
    assert small.shape == (3, 20, 24) and (small - wanted).abs().max() < 0.51
    assert pictures.get(3, 0.05).shape == (3, 1, 1)


def test_a_sharp_edge_stays_within_black_and_white(tmp_path: Path) -> None:
    levels = np.zeros((16, 16, 3), "u1")
    levels[:, 7:] = 255
    Image.fromarray(levels).save(tmp_path / "edge.png")
    row = Pictures([tmp_path / "edge.png"], memory=2**20).get(0, 0.75)[0, 0]
    assert row[:4].max() == 0 and row[-4:].min() == 255 and bool((row.int().diff() >= 0).all())


def test_memory_bounds_what_is_kept_and_changes_nothing_else(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, asked = room.read, Counter[Path]()

    def counting(path: Path) -> object:
        asked[path] += 1
        return read(path)

    monkeypatch.setattr(room, "read", counting)
    wide, narrow = (Pictures(paths, memory=memory) for memory in (2**20, 3 * 40 * 48))
    for _ in range(3):
        for number in range(5):
            assert torch.equal(wide.get(number), narrow.get(number))
            assert narrow._used == sum(one.numel() for one in narrow._kept.values()) <= 3 * 40 * 48
    assert all(asked[path] > 2 for path in paths)
    asked.clear()
    for _ in range(2):
        for number in range(5):
            wide.get(number), wide.get(number, 0.5)
    assert not asked, "what fits is decoded once"
    tiny = Pictures(paths[:1], memory=1)
    assert torch.equal(tiny.get(0), wide.get(0)) and torch.equal(tiny.get(0, 0.5), wide.get(0, 0.5))


def test_what_was_asked_for_last_is_kept_longest(paths: list[Path]) -> None:
    pictures = Pictures(paths, memory=3 * (40 * 48 + 33 * 20 + 40 * 40))
    for number in (0, 1, 0, 4, 2):
        pictures.get(number)
    assert list(pictures._kept) == [(0, 1.0), (4, 1.0), (2, 1.0)]


def test_a_file_that_is_no_picture_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(UsageError, match=r"bad\.png"):
        Pictures([tmp_path / "bad.png"], memory=1).get(0)


# Crops


def squares(picture: Tensor, size: int) -> set[bytes]:
    """Every square of a picture, as its bytes."""
    rows, columns = (side - size + 1 for side in picture.shape[1:])
    return {
        picture[:, top : top + size, left : left + size].contiguous().numpy().tobytes()
        for top in range(rows)
        for left in range(columns)
    }


def levels(crop: Tensor) -> Tensor:
    assert crop.dtype == torch.float32 and crop.min() >= 0 and crop.max() <= 1
    return (crop * 255).round().to(torch.uint8)


def orientation(crop: Tensor, known: set[bytes], *, turns: int) -> tuple[int, int]:
    """How often it was turned and whether it was mirrored to be a square of a picture."""
    found = []
    for turn in range(turns):
        for flip in (0, 1):
            back = crop.rot90(-turn, (1, 2))
            back = back.flip(2) if flip else back
            if back.contiguous().numpy().tobytes() in known:
                found.append((turn, flip))
    assert len(found) == 1
    return found[0]


def test_crops_are_squares_of_the_picture_in_all_eight_orientations(paths: list[Path]) -> None:
    pictures = Pictures(paths, memory=2**20)
    known = squares(pictures.get(0), 16)
    seen = Counter(orientation(levels(pictures.crop(0, 16, seed)), known, turns=4) for seed in range(160))
    assert len(seen) == 8 and min(seen.values()) >= 6
    upright = Counter(
        orientation(levels(pictures.crop(0, 16, seed, turns=False)), known, turns=4) for seed in range(40)
    )
    assert set(upright) == {(0, 0), (0, 1)} and min(upright.values()) >= 8


def test_crops_lie_anywhere_up_to_the_borders(paths: list[Path]) -> None:
    numbered = Pictures(paths, memory=2**20)
    numbered._kept[(0, 1.0)] = torch.stack([torch.arange(12).expand(10, 12), torch.arange(10)[:, None].expand(10, 12),
                                            torch.zeros(10, 12)]).to(torch.uint8)  # fmt: skip
    corners = set()
    for seed in range(400):
        crop = levels(numbered.crop(0, 8, seed, turns=False))
        corners.add((int(crop[1].min()), int(crop[0].min())))
    assert corners == {(top, left) for top in range(3) for left in range(5)}


def test_a_seed_gives_its_crop_whatever_was_asked_before(paths: list[Path]) -> None:
    one, other = (Pictures(paths, memory=2**20, zooms=(1.0, 0.5)) for _ in range(2))
    first = [one.crop(number, 12, seed) for number in (0, 4) for seed in range(6)]
    again = [other.crop(number, 12, seed) for number in (4, 0) for seed in reversed(range(6))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({one.numpy().tobytes() for one in first}) == 12
    assert torch.equal(one.crop(0, 12, 2**62), other.crop(0, 12, 2**62))


@pytest.mark.parametrize(("number", "size"), [(2, 16), (3, 16), (3, 31)])
def test_a_small_picture_is_continued_by_its_mirror_image(number: int, size: int, paths: list[Path]) -> None:
    pictures = Pictures(paths, memory=2**20)
    whole = pictures.get(number).numpy()
    more = [(0, max(0, 4 * size - side)) for side in whole.shape[1:]]
    known = squares(torch.from_numpy(np.pad(whole, [(0, 0), *more], "symmetric")), size)
    for seed in range(10):
        crop = levels(pictures.crop(number, size, seed, turns=False))
        assert crop.shape == (3, size, size)
        assert {c.contiguous().numpy().tobytes() for c in (crop, crop.flip(2))} & known


def test_zooms_are_drawn_and_one_that_is_too_small_is_not_taken(paths: list[Path]) -> None:
    pictures = Pictures(paths, memory=2**20, zooms=(1.0, 0.5))
    by_zoom = {zoom: squares(pictures.get(0, zoom), 16) for zoom in (1.0, 0.5)}
    drawn = Counter()
    for seed in range(40):
        crop = levels(pictures.crop(0, 16, seed, turns=False))
        drawn.update(
            zoom for zoom in by_zoom for c in (crop, crop.flip(2)) if c.contiguous().numpy().tobytes() in by_zoom[zoom]
        )
    assert drawn.total() == 40 and min(drawn[1.0], drawn[0.5]) >= 8
    whole = squares(pictures.get(0), 32)  # half of it has 20 rows
    for seed in range(6):
        assert orientation(levels(pictures.crop(0, 32, seed)), whole, turns=4)


def test_the_mirror_image_begins_with_the_last_pixel() -> None:
    line = torch.arange(3).view(1, 1, 3)
    assert mirrored_to(line, 7)[0].tolist() == [[0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0]] * 8
    assert torch.equal(mirrored_to(line, 1), line)


def test_the_middle_is_cut_to_multiples() -> None:
    picture = torch.arange(3 * 11 * 20, dtype=torch.int32).remainder(251).to(torch.uint8).view(3, 11, 20)
    found = middle(picture, 9, 4)
    assert torch.equal(levels(found[0]), picture[:, 1:9, 6:14])
    assert middle(picture, 256, 3).shape == (1, 3, 9, 18)
    assert middle(picture[:, :1, :2], 256, 4).shape == (1, 3, 4, 4), "a picture smaller than the multiple is mirrored"


def test_hidden_colours_are_not_learnt(tmp_path: Path) -> None:
    pixels = np.full((4, 6, 4), (200, 10, 10, 255), "u1")
    pixels[:, 3:] = (0, 0, 0, 0)
    pixels[:, 2] = (0, 100, 255, 51)
    Image.fromarray(pixels, "RGBA").save(tmp_path / "cut.png")
    found = Pictures([tmp_path / "cut.png"], memory=2**20).get(0)
    assert found[:, 0].T.tolist() == [[200, 10, 10]] * 2 + [[204, 224, 255]] + [[255] * 3] * 3
