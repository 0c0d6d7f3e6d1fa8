"""Audit: each fault that is planted is found, under its name, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from impasto.errors import UsageError
from impasto.learning.audit import Finding, audit
from impasto.learning.audit.report import facts, summary, write_report
from impasto.learning.manifest import Manifest
from impasto.learning.scan import scan

SIZE = (120, 90)


def blots(seed: int) -> Image.Image:
    """A picture that no other looks like."""
    levels = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize(SIZE, Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """24 pictures to train on and 12 to test on, of two classes."""
    seed = 0
    for split, count in (("train", 12), ("test", 6)):
        for label in ("cat", "dog"):
            (tmp_path / "data" / split / label).mkdir(parents=True)
            for number in range(count):
                blots(seed := seed + 1).save(tmp_path / "data" / split / label / f"{number}.png")
    return tmp_path / "data"


def named(found: list[Finding], check: str) -> list[Finding]:
    return [one for one in found if one.check == check]


def paths(manifest: Manifest, rows: tuple[int, ...]) -> set[str]:
    return {manifest.paths[row] for row in rows}


def test_a_clean_split_has_no_findings(folder: Path) -> None:
    told: list[float] = []
    manifest = scan(folder)
    assert audit(manifest, progress=lambda done, where: told.append(done)) == []
    assert told == sorted(told) and 0.9 < told[-1] <= 1
    assert summary([]) == "nothing found"


def test_exact_duplicates_across_splits_are_errors_and_within_one_warnings(folder: Path) -> None:
    original = (folder / "train/cat/3.png").read_bytes()
    (folder / "test/cat/leak.png").write_bytes(original)
    (folder / "train/dog/a.png").write_bytes((folder / "train/dog/1.png").read_bytes())
    manifest = scan(folder)
    found = audit(manifest)
    assert [(one.check, one.severity) for one in found] == [
        ("exact duplicates", "error"),
        ("exact duplicates", "warning"),
    ]
    assert paths(manifest, found[0].rows) == {"train/cat/3.png", "test/cat/leak.png"}
    assert [paths(manifest, one) for one in found[1].clusters] == [{"train/dog/1.png", "train/dog/a.png"}]


SAME: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda image: image.resize((80, 66)),
    "grey": lambda image: image.convert("L"),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
}
DERIVED: dict[str, tuple[Callable[[Image.Image], Image.Image], str]] = {
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "mirrored"),
    "upside down": (lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "mirrored"),
    "turned": (lambda image: image.transpose(Image.Transpose.ROTATE_90), "turned"),
    "turned back": (lambda image: image.transpose(Image.Transpose.ROTATE_270), "turned"),
    "cropped": (lambda image: image.crop((0, 0, 108, 81)), "cropped"),
    "cropped elsewhere": (lambda image: image.crop((7, 6, 117, 90)), "cropped"),
    "mirrored, cropped": (lambda image: image.transpose(0).crop((12, 4, 120, 85)), "mirrored and cropped"),
}


@pytest.mark.parametrize("kind", SAME)
def test_near_duplicates_are_found(folder: Path, kind: str) -> None:
    SAME[kind](Image.open(folder / "train/dog/5.png")).save(folder / "test/dog/copy.jpg", quality=80)
    manifest = scan(folder)
    [found] = audit(manifest)
    assert (found.check, found.severity) == ("near duplicates", "error")
    assert paths(manifest, found.rows) == {"train/dog/5.png", "test/dog/copy.jpg"}


@pytest.mark.parametrize("kind", DERIVED)
def test_derived_copies_are_found_and_named(folder: Path, kind: str) -> None:
    make, word = DERIVED[kind]
    make(Image.open(folder / "train/dog/5.png")).save(folder / "train/dog/copy.jpg", quality=90)
    manifest = scan(folder)
    [found] = audit(manifest)
    assert (found.check, found.severity) == ("derived copies", "warning")
    assert f"(1 {word})" in found.message
    assert paths(manifest, found.rows) == {"train/dog/5.png", "train/dog/copy.jpg"}


def test_one_picture_with_two_labels_is_a_conflict(folder: Path) -> None:
    Image.open(folder / "train/dog/5.png").resize((100, 80)).save(folder / "train/cat/odd.png")
    (folder / "train/cat/same.png").write_bytes((folder / "train/dog/1.png").read_bytes())
    manifest = scan(folder)
    [conflict] = named(audit(manifest), "label conflicts")
    assert conflict.severity == "error"
    found = [paths(manifest, one) for one in conflict.clusters]
    assert len(found) == 2
    assert {"train/cat/same.png", "train/dog/1.png"} in found and {"train/cat/odd.png", "train/dog/5.png"} in found


def test_broken_gone_and_changed_files_are_found(folder: Path) -> None:
    Image.open(folder / "train/cat/0.png").save(folder / "train/cat/cut.jpg")
    manifest = scan(folder)
    whole = (folder / "train/cat/cut.jpg").read_bytes()
    (folder / "train/cat/cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "train/cat/1.png").unlink()
    blots(99).save(folder / "train/cat/2.png")
    broken, changed = named(audit(manifest), "broken files")
    assert (broken.severity, changed.severity) == ("error", "warning")
    assert paths(manifest, broken.rows) == {"train/cat/1.png", "train/cat/cut.jpg"}
    assert paths(manifest, changed.rows) == {"train/cat/2.png", "train/cat/cut.jpg"}


def test_a_driver_on_two_sides_is_found(folder: Path) -> None:
    manifest = scan(folder)
    groups = [f"{split}-{n % 3}" for n, split in enumerate(manifest.column("split"))]
    assert named(audit(manifest.having(group=groups)), "group overlap") == []
    groups[0] = "train-1"
    [leak] = named(audit(manifest.having(group=groups)), "group overlap")
    assert leak.severity == "error" and "1 group of 6" in leak.message
    assert {groups[row] for row in leak.rows} == {"train-1"}


def test_classes_that_are_missing_tiny_or_uneven_are_found() -> None:
    def of(**counts: int) -> Manifest:
        rows = [
            {"path": f"{key}{n}", "split": key.split("_")[0], "label": key.split("_")[1]}
            for key, count in counts.items()
            for n in range(count)
        ]
        return Manifest.from_rows(rows, "/nowhere")

    found = audit(of(train_a=50, train_b=4, test_a=3, test_c=2))
    said = {(one.check, one.severity): one.message for one in found}
    assert "1 class of test that train has not: c" in said["missing labels", "error"]
    assert "1 class of train that test has not: b" in said["missing labels", "warning"]
    messages = [one.message for one in named(found, "class balance")]
    assert any("b (4)" in message for message in messages)
    assert any("a has 12.5 times the pictures of b (50 and 4)" in message for message in messages)
    assert "not opened" in said["broken files", "note"]
    assert [one.severity for one in found] == sorted(
        (o.severity for o in found), key=["error", "warning", "note"].index
    )
    [alone] = named(audit(of(train_a=50, test_a=10)), "class balance")
    assert alone.severity == "error" and "nothing can be told apart" in alone.message


def test_a_group_that_features_show_is_a_warning_and_one_they_do_not_a_note() -> None:
    rng = np.random.default_rng(0)
    groups = [str(n % 3) for n in range(150)]
    rows = [{"path": str(n), "label": "ab"[n % 2], "group": group} for n, group in enumerate(groups)]
    manifest = Manifest.from_rows(rows, "/nowhere")
    noise = rng.normal(size=(150, 8)).astype(np.float16)
    told = noise + 3 * np.eye(8, dtype=np.float16)[[int(group) for group in groups]]
    [shown] = named(audit(manifest, features=told), "predictable groups")
    [hidden] = named(audit(manifest, features=noise), "predictable groups")
    assert (shown.severity, hidden.severity) == ("warning", "note")
    assert "chance 33%, 3 groups" in shown.message
    assert named(audit(manifest), "predictable groups") == []


def test_small_pictures_are_only_compared_byte_by_byte(tmp_path: Path) -> None:
    for number in range(24):
        label = tmp_path / "ab"[number % 2]
        label.mkdir(exist_ok=True)
        blots(number).resize((28, 28)).save(label / f"{number}.png")
    Image.open(tmp_path / "a/0.png").save(tmp_path / "a/copy.jpg")
    [note] = audit(scan(tmp_path))
    assert note.severity == "note" and "25 pictures of less than 64 × 64" in note.message


def test_what_cannot_be_audited_is_one_line() -> None:
    with pytest.raises(UsageError, match="no pictures to audit"):
        audit(Manifest.from_rows([], "."))
    with pytest.raises(UsageError, match="3 rows of features for 1 pictures"):
        audit(Manifest.from_rows([{"path": "x"}], "."), features=np.zeros((3, 2)))


def test_reports_name_the_pictures_and_are_safe_to_open(folder: Path, tmp_path: Path) -> None:
    (folder / "test/cat/<b>&.png").write_bytes((folder / "train/cat/3.png").read_bytes())
    manifest = scan(folder)
    found = audit(manifest)
    write_report(tmp_path / "audit.json", manifest, found)
    told = json.loads((tmp_path / "audit.json").read_text())
    assert told == json.loads(json.dumps(facts(manifest, found)))
    assert told["errors"] == 1 and told["findings"][0]["paths"] == ["test/cat/<b>&.png", "train/cat/3.png"]
    write_report(tmp_path / "audit.html", manifest, found)
    page = (tmp_path / "audit.html").read_text()
    assert "test/cat/&lt;b&gt;&amp;.png" in page and "<b>" not in page
    with pytest.raises(UsageError, match=r"\.html or \.json"):
        write_report(tmp_path / "audit.pdf", manifest, found)


@pytest.mark.realdata
@pytest.mark.slow
def test_pets_have_no_copies(shared: Path) -> None:
    assert [
        one for one in audit(scan(shared / "data" / "pets-boxes" / "bboxes.csv")) if one.check != "class balance"
    ] == []
