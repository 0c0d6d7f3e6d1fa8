"""Whole folders: kept as they are laid out, gone on with, and told of in the end."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from impasto.errors import UsageError
from impasto.images import Picture, read, write
from impasto.translation.enhance_folder import enhance_folder

pytestmark = pytest.mark.usefixtures("shipped")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures in folders, one that is broken, and what is no picture."""
    for number, name in enumerate(("a.jpg", "sub/b.png", "sub/deeper/c.webp")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, Picture(torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(number))))
    (tmp_path / "photos/sub/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (tmp_path / "photos/notes.txt").write_text("no picture")
    return tmp_path / "photos"


def statuses(*arguments: object, **how: object) -> dict[str, str]:
    return {item.source.name: item.status for item in enhance_folder(*arguments, **how)}


def test_folders_are_kept_and_a_bad_file_is_one_line(photos: Path, tmp_path: Path) -> None:
    items = list(enhance_folder(photos, tmp_path / "out", scale=2))
    assert [item.status for item in items] == ["enhanced", "enhanced", "failed", "enhanced"]
    made = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert made == {"a.png", "sub/b.png", "sub/deeper/c.png"}
    assert read(tmp_path / "out/sub/b.png").width == 32
    assert "broken.png" in items[2].error and "\n" not in items[2].error


def test_what_is_done_is_skipped_until_the_picture_the_options_or_the_weights_change(
    photos: Path, tmp_path: Path, shipped: dict[str, Path], write_model: Callable[..., Path]
) -> None:
    out = tmp_path / "out"
    done = {"a.jpg": "enhanced", "b.png": "enhanced", "broken.png": "failed", "c.webp": "enhanced"}
    skipped = done | dict.fromkeys(("a.jpg", "b.png", "c.webp"), "skipped")
    assert statuses(photos, out) == done
    before = (out / "a.png").stat().st_mtime_ns
    assert statuses(photos, out) == skipped and (out / "a.png").stat().st_mtime_ns == before
    assert statuses(photos, out, memory=3, device="cpu") == skipped  # no part of the picture
    write(photos / "a.jpg", Picture(torch.rand(1, 3, 12, 16)))
    (out / "sub/b.png").unlink()
    assert statuses(photos, out) == skipped | {"a.jpg": "enhanced", "b.png": "enhanced"}
    assert statuses(photos, out, strength=0.5) == done
    write_model(shipped["superres-x2"], {"kind": "light", "width": 8, "blocks": 1, "scale": 2}, "superres", seed=9)
    assert statuses(photos, out, strength=0.5) == done


def test_an_interrupted_batch_leaves_whole_pictures_and_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def stop(done: float, words: str) -> None:
        if "b.png" in words:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(enhance_folder(photos, out, progress=stop))
    assert [path.name for path in out.rglob("*.*")] == ["a.png"]
    for age, name in ((3600, "old"), (0, "young")):  # of a killed process, and of one that may be writing
        part = out / f".impasto-{name}.part"
        part.write_bytes(b"half a picture")
        os.utime(part, (time.time() - age,) * 2)
    assert statuses(photos, out)["a.jpg"] == "skipped"
    assert [path.name for path in out.glob(".impasto-*")] == [".impasto-young.part"]


def test_formats_names_and_places(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert set(statuses(photos, out, suffix=".jpg").values()) == {"enhanced", "failed"}
    made = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    assert made == {"a.jpg", "sub/b.jpg", "sub/deeper/c.jpg"}
    write(photos / "a.png", Picture(torch.rand(1, 3, 6, 6)))  # beside a.jpg
    with pytest.raises(UsageError, match=r"a\.jpg and a\.png would both become .*out/a\.jpg"):
        statuses(photos, out, suffix=".jpg")
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.*")} == made
    same = tmp_path / "same"
    statuses(photos, same, suffix="same")
    assert {path.name for path in same.rglob("*.*")} == {"a.jpg", "a.png", "b.png", "c.webp"}
    gif = tmp_path / "one.gif"
    Image.new("RGB", (5, 4)).save(gif)
    assert statuses([gif, photos / "sub"], tmp_path / "several", suffix="same")["one.gif"] == "enhanced"
    assert (tmp_path / "several/one.png").exists() and (tmp_path / "several/deeper/c.webp").exists()


def test_results_inside_the_folder_are_not_enhanced_again(photos: Path) -> None:
    first = statuses(photos, photos / "large")
    assert statuses(photos, photos / "large").keys() == first.keys()


def test_what_impasto_has_not_made_is_not_replaced(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write(out / "a.png", Picture(torch.zeros(1, 3, 3, 3)))
    (item, *_) = enhance_folder(photos, out)
    assert item.status == "failed" and "was not made by impasto" in item.error
    assert read(out / "a.png").width == 3


def test_what_is_asked_wrongly_is_said_before_any_work(photos: Path, tmp_path: Path) -> None:
    for arguments, how, words in (
        ([photos, tmp_path / "out"], {"scale": 3}, "no shipped model"),
        ([photos, photos / "a.jpg"], {}, "is a file"),
        ([photos / "a.jpg", photos], {}, "is where the pictures are"),
        ([photos, photos], {}, "is where the pictures are"),
        ([photos / "sub", photos / "sub"], {"suffix": "same"}, "is where the pictures are"),
        ([[photos / "a.jpg", photos / "a.jpg"], tmp_path / "out"], {}, "would both become"),
        ([tmp_path / "none", tmp_path / "out"], {"suffix": ".xyz"}, "names no format"),
    ):
        with pytest.raises(UsageError, match=words):
            next(enhance_folder(*arguments, **how))
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no pictures"):
        next(enhance_folder(tmp_path / "empty", tmp_path / "out"))


def test_progress_is_of_all_pictures(photos: Path, tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    list(enhance_folder(photos, tmp_path / "out", progress=lambda done, words: seen.append((done, words))))
    parts = [done for done, _ in seen]
    assert parts == sorted(parts) and parts[-1] == pytest.approx(1) and seen[0][1].startswith("1 of 4, a.jpg")
