"""Results are laid out as the pictures are, and are never taken for pictures."""

from pathlib import Path

import pytest

from impasto.errors import UsageError
from impasto.translation.places import gathered, places


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("photos/a.jpg", "photos/in/b.png", "photos/bad/a.png", "photos/bad/in/b.png", "one.gif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "photos"


def names(*sources: Path, out: Path | None = None) -> list[str]:
    return [name for _, name in gathered(sources, out)]


def test_results_inside_a_folder_are_left_out(photos: Path) -> None:
    assert names(photos) == ["a.jpg", "bad/a.png", "bad/in/b.png", "in/b.png"]
    for out in (photos / "bad", photos / "in" / ".." / "bad"):
        assert names(photos, photos.parent / "one.gif", out=out) == ["a.jpg", "in/b.png", "one.gif"]
    assert names(photos, out=photos) == names(photos, out=photos.parent) == names(photos)


def test_a_picture_that_is_named_is_one_wherever_it_is(photos: Path) -> None:
    assert names(photos / "bad/a.png", out=photos / "bad") == ["a.png"]
    with pytest.raises(UsageError, match="no pictures"):
        (photos / "a.jpg").unlink(), (photos / "in/b.png").unlink()
        gathered([photos], photos / "bad")


def test_a_place_depends_on_its_picture_alone(photos: Path) -> None:
    some = ["a.JPG", "in/a.jpg", "in/a.gif", "b.heic"]
    assert places(some, photos, "same") == [photos / n for n in ("a.jpg", "in/a.jpg", "in/a.png", "b.heic")]
    for name in some:
        (alone,) = places([name], photos)
        assert alone == (photos / name).with_suffix(".png")
        assert alone in places(["c.png", name, "b/c.png"], photos)
    with pytest.raises(UsageError, match=r"in/a\.jpg and in/a\.gif would both become .*photos/in/a\.png: rename one"):
        places(some, photos)
    with pytest.raises(UsageError, match=r"in/a\.png and in/a\.gif would both become"):
        places(["in/a.png", "in/a.gif"], photos, "same")
