"""Masks: found beside their pictures, read as labels, and films whose frames are too near."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.errors import UsageError
from impasto.translation.masks import masked, nearest_frames, read_labels

LABELS = np.arange(12, dtype="u1").reshape(3, 4) * 20


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_masks_have_the_names_of_their_pictures_whatever_their_endings(tmp_path: Path) -> None:
    touch(tmp_path / "images/b.jpg", tmp_path / "images/a.png", tmp_path / "images/deep/a.webp")
    touch(
        tmp_path / "masks/a.png", tmp_path / "masks/b.png", tmp_path / "masks/deep/a.gif", tmp_path / "masks/more.png"
    )
    found = masked(tmp_path)
    assert len(found) == 3
    assert [path.relative_to(tmp_path / "images").as_posix() for path in found.pictures] == [
        "a.png",
        "b.jpg",
        "deep/a.webp",
    ]
    assert [path.relative_to(tmp_path / "masks").as_posix() for path in found.masks] == ["a.png", "b.png", "deep/a.gif"]
    (tmp_path / "masks").rename(tmp_path / "labels")
    assert masked(tmp_path).masks[0] == tmp_path / "labels" / "a.png"


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no images and masks folders"):
        masked(tmp_path)
    touch(tmp_path / "images/a.png")
    with pytest.raises(UsageError, match="has no images and masks folders"):
        masked(tmp_path)
    touch(tmp_path / "masks/deep/a.png")
    with pytest.raises(UsageError, match=r"images/a\.png has no mask of its name in .*masks"):
        masked(tmp_path)


def test_labels_are_gray_levels_or_numbers_of_a_palette(tmp_path: Path) -> None:
    gray, palette = Image.fromarray(LABELS), Image.fromarray(LABELS).convert("P")
    palette.putpalette(list(np.random.default_rng(0).integers(0, 255, 768)))
    for name, image in (("gray", gray), ("palette", palette)):
        image.save(tmp_path / f"{name}.png")
        labels = read_labels(tmp_path / f"{name}.png")
        assert str(labels.dtype) == "torch.uint8" and np.array_equal(labels.numpy(), LABELS), name
    Image.fromarray(LABELS > 100).save(tmp_path / "two.png")
    assert np.array_equal(read_labels(tmp_path / "two.png").numpy(), (LABELS > 100).astype("u1"))


def test_what_holds_no_labels_is_one_line(tmp_path: Path) -> None:
    for mode in ("RGB", "LA", "RGBA"):
        Image.fromarray(LABELS).convert(mode).save(tmp_path / f"{mode}.png")
        with pytest.raises(UsageError, match=f"mode {mode}, no mask: save labels as gray levels or a palette"):
            read_labels(tmp_path / f"{mode}.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "RGB.png").read_bytes()[:40])
    (tmp_path / "text.png").write_text("labels")
    for name in ("torn", "text", "nowhere"):
        with pytest.raises(UsageError, match=f"{name}.png cannot be read") as caught:
            read_labels(tmp_path / f"{name}.png")
        assert "\n" not in str(caught.value)


def test_frames_are_counted_within_a_film_to_the_nearest() -> None:
    train = [Path(f"x/{name}.png") for name in ("a_0100", "a_0400", "b7", "shot")]
    valid = [Path(f"y/{name}.jpg") for name in ("a_0131", "a_0390", "a_1000", "b_8", "b10", "7", "shot")]
    assert nearest_frames(train, valid) == [31, 10, 600, 3]
    assert nearest_frames([], valid) == nearest_frames(train, []) == []
    assert nearest_frames([Path("1.png")], [Path("2.png")]) == [], "names that are numbers tell no film"


@pytest.mark.realdata
def test_camvid_s_validation_clip_lies_within_a_training_film(shared: Path) -> None:
    parts = {name: masked(shared / "data" / "camvid-mini" / name) for name in ("train", "val", "test")}
    near = nearest_frames(parts["train"].pictures, parts["val"].pictures)
    assert len(near) == len(parts["val"]) and min(near) == 75
    assert max(near) == 163, "from both sides"
    beyond = nearest_frames(parts["train"].pictures, parts["test"].pictures)  # the same drive, gone on with
    assert sorted(beyond) == list(range(60, 1861, 90)), "of 60 test pictures 21, of which 3 within ten seconds"
    labels = read_labels(parts["val"].masks[0])
    assert int(labels.max()) <= 11 and len(labels.unique()) > 5
