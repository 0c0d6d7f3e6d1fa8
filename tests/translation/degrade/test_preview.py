"""Sheets and files of degraded pictures."""

import logging
from pathlib import Path

import pytest
import torch
from PIL import Image

from impasto.errors import UsageError
from impasto.images import Picture, read, write
from impasto.translation.degrade import parse
from impasto.translation.degrade.preview import degrade_files, seed_of, sheet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, two of them in a folder within."""
    random = torch.Generator().manual_seed(0)
    for name in ("a.jpg", "in/b.png", "in/c.webp"):
        path = tmp_path / "good" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, Picture(torch.rand(1, 3, 50, 70, generator=random)))
    return tmp_path / "good"


def test_a_sheet_has_a_row_of_draws_for_each_picture(folder: Path) -> None:
    made = sheet(parse("noise:5-50"), [folder], count=2, draws=3, size=48)
    assert made.shape[0] == 1 and made.shape[3] >= 4 * 48 and made.shape[2] > 2 * 48
    one = sheet(parse("noise:5-50"), [folder], count=1, draws=3, size=48)
    assert one.shape[3] == made.shape[3] and 1.7 < made.shape[2] / one.shape[2] < 2.1


def test_a_sheet_shows_the_good_picture_and_what_the_recipe_makes_of_it(folder: Path) -> None:
    made = sheet(parse("gray"), [folder / "in" / "b.png"], count=1, draws=3, size=32)
    good = read(folder / "in" / "b.png").pixels[:, :, 9:41, 19:51]
    top = 12 + 26  # the sheet's margin and label
    assert torch.allclose(made[:, :, top : top + 32, 12:44], good, atol=0.003)
    gray = parse("gray")(good, [0])
    assert torch.allclose(made[:, :, top : top + 32, 56:88], gray, atol=0.003)
    assert made.shape[3] == 100  # two cells: without chance, one draw says all


def test_a_sheet_depends_on_its_seed(folder: Path) -> None:
    recipe = parse("noise:5-50")
    first, again, other = (sheet(recipe, [folder], count=1, draws=2, size=32, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first[..., :110], other[..., :110])


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (5, 4)])
def test_small_and_narrow_pictures_have_sheets(size: tuple[int, int], tmp_path: Path) -> None:
    write(tmp_path / "small.png", Picture(torch.rand(1, 3, *size)))
    assert sheet(parse("crappify"), [tmp_path], size=64).shape[2] > 64


def test_files_are_written_under_their_names_in_their_folders(folder: Path, tmp_path: Path) -> None:
    recipe = parse("bicubic:4")
    written = degrade_files(recipe, [folder], tmp_path / "out")
    assert [str(one.relative_to(tmp_path / "out")) for one in written] == ["a.png", "in/b.png", "in/c.png"]
    wanted = recipe(read(folder / "in" / "b.png").pixels[:, :, :48, :68], [0])
    assert torch.allclose(read(tmp_path / "out/in/b.png").pixels, wanted, atol=1e-4)


def test_a_file_is_the_same_whatever_others_there_are(folder: Path, tmp_path: Path) -> None:
    recipe = parse("noise:20 round")
    degrade_files(recipe, [folder], tmp_path / "all", seed=3)
    degrade_files(recipe, [folder / "a.jpg"], tmp_path / "one", seed=3)
    assert (tmp_path / "all/a.png").read_bytes() == (tmp_path / "one/a.png").read_bytes()
    wanted = recipe(read(folder / "a.jpg").pixels, [seed_of(3, "a.jpg")])
    assert torch.allclose(read(tmp_path / "one/a.png").pixels, wanted, atol=1e-4)


def test_names_that_would_be_the_same_are_refused_before_the_work(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.jpg and a\.jpg would both become .*a\.png"):
        degrade_files(parse("gray"), [folder, folder / "a.jpg"], tmp_path / "out")
    write(folder / "in" / "b.jpg", Picture(torch.rand(1, 3, 8, 8)))
    with pytest.raises(UsageError, match=r"in/b\.jpg and in/b\.png would both become .*in/b\.png"):
        degrade_files(parse("gray"), [folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_good_picture_is_never_written_over(folder: Path) -> None:
    before = (folder / "in/b.png").read_bytes()
    with pytest.raises(UsageError, match="is where the pictures are"):
        degrade_files(parse("gray"), [folder], folder)
    assert (folder / "in/b.png").read_bytes() == before and not (folder / "a.png").exists()


def test_results_inside_the_folder_are_not_degraded_again(folder: Path) -> None:
    first = degrade_files(parse("gray"), [folder], folder / "bad")
    assert degrade_files(parse("gray"), [folder], folder / "bad") == first
    assert not (folder / "bad/bad").exists()
    with_results, without = sheet(parse("gray"), [folder]), sheet(parse("gray"), [folder], out=folder / "bad")
    assert with_results.shape[2] > 1.5 * without.shape[2]


def test_of_a_folder_broken_pictures_are_left_out_with_a_warning(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "broken.jpg").write_bytes(b"no picture")
    write(folder / "tiny.png", Picture(torch.rand(1, 3, 2, 9)))
    with caplog.at_level(logging.WARNING, "impasto"):
        assert len(degrade_files(parse("bicubic:4"), [folder], tmp_path / "out")) == 3
        assert sheet(parse("bicubic:4"), [folder], size=32).shape[2] > 3 * 32
    assert "broken.jpg" in caplog.text and "tiny.png is 9×2" in caplog.text


def test_a_picture_that_is_named_or_the_only_one_must_be_read(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="broken.jpg"):
        degrade_files(parse("gray"), [folder / "broken.jpg", folder], tmp_path / "out")
    for one in ("a.jpg", "in/b.png", "in/c.webp"):
        (folder / one).unlink()
    for verb in (
        lambda: degrade_files(parse("gray"), [folder], tmp_path / "out"),
        lambda: sheet(parse("gray"), [folder]),
    ):
        with pytest.raises(UsageError, match="broken.jpg"):
            verb()


def test_animations_cmyk_palettes_and_transparency_are_pictures(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    frames = [Image.new("RGB", (12, 10), colour) for colour in ("red", "blue")]
    frames[0].save(odd / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("CMYK", (12, 10), (10, 200, 30, 0)).save(odd / "print.jpg")
    Image.new("RGBA", (12, 10), (0, 0, 0, 0)).save(odd / "clear.png")
    Image.new("P", (12, 10)).save(odd / "palette.png")
    written = degrade_files(parse("jpeg:95"), [odd], tmp_path / "out")
    assert len(written) == 4
    red = read(tmp_path / "out/moving.png").pixels.mean((0, 2, 3))
    assert red[0] > 0.9 and red[2] < 0.1
    assert read(tmp_path / "out/clear.png").pixels.min() > 0.98  # on white
