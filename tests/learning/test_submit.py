"""Submissions: the CSV that a contest asks for."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.errors import UsageError
from impasto.learning.calibration import Calibration
from impasto.learning.manifest import Manifest
from impasto.learning.predictions import Predictions
from impasto.learning.submit import calibrated, submit, table, validation


def made(k: int, paths: tuple[str, ...] = ("/t/10.jpg", "/t/2.jpg", "/t/x.1.jpg")) -> Predictions:
    logs = np.log(np.random.default_rng(0).dirichlet(np.ones(k), len(paths))).astype("f4")
    n = len(paths)
    return Predictions(tuple(f"c{i}" for i in range(k)), logs, paths, np.full(n, -1), (None,) * n, (None,) * n)


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_two_classes_are_a_number_and_the_chance_of_the_second() -> None:
    one = made(2)
    found = rows(table(one, one.probabilities))
    assert found[0] == ["id", "label"]
    assert [row[0] for row in found[1:]] == ["1", "2", "10"]
    assert float(found[3][1]) == pytest.approx(one.probabilities[0, 1], abs=1e-8)


def test_many_classes_are_a_name_and_a_column_each() -> None:
    one = made(10)
    found = rows(table(one, one.probabilities))
    assert found[0] == ["img", *(f"c{i}" for i in range(10))]
    assert [row[0] for row in found[1:]] == ["10.jpg", "2.jpg", "x.1.jpg"]
    assert all(sum(map(float, row[1:])) == pytest.approx(1, abs=1e-7) for row in found[1:])


def test_the_header_and_the_identifier_may_be_others() -> None:
    one = made(2, ("/t/a,b.jpg", "/t/c.jpg"))
    found = rows(table(one, one.probabilities, id_from="stem", columns=["id", "cat", "dog"]))
    assert found[0] == ["id", "cat", "dog"] and found[1][0] == "a,b" and len(found[1]) == 3
    with pytest.raises(UsageError, match=r"4 columns are named \(a, b, c, d\)"):
        table(one, one.probabilities, id_from="stem", columns=list("abcd"))


def test_names_without_numbers_and_the_same_twice_are_refused() -> None:
    with pytest.raises(UsageError, match="no number in its name: give --id-from"):
        table(made(2, ("/t/a.jpg",)), np.full((1, 2), 0.5))
    with pytest.raises(UsageError, match="would both be '7'"):
        table(made(2, ("/t/a7.jpg", "/t/b7.jpg")), np.full((2, 2), 0.5))


def test_probabilities_are_calibrated_or_clipped_and_add_up_to_one() -> None:
    one = made(3)
    for p in (calibrated(one), calibrated(one, Calibration(2.0, 0.05)), calibrated(one, clip=0.6)):
        assert np.allclose(p.sum(1), 1)
    assert calibrated(one, Calibration(2.0, 0.05)).min() > 0.04
    assert np.allclose(calibrated(one), one.probabilities)


def test_several_runs_are_calibrated_on_what_all_have_kept_back(tmp_path: Path) -> None:
    for name, splits in (("a", ["valid", "valid", "train"]), ("b", ["train", "valid", "valid"])):
        (tmp_path / name).mkdir()
        listed = [{"path": f"{i}.jpg", "label": "x", "split": split} for i, split in enumerate(splits)]
        Manifest.from_rows(listed, tmp_path).save(tmp_path / name / "data.parquet")
    assert validation([tmp_path / "a", tmp_path / "b"]).paths == ["1.jpg"]
    other = Manifest.from_rows([{"path": "9.jpg", "split": "valid"}], tmp_path)
    other.save(tmp_path / "b" / "data.parquet")
    with pytest.raises(UsageError, match="no validation pictures in common"):
        validation([tmp_path / "a", tmp_path / "b"])


def test_what_cannot_be_submitted_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    with pytest.raises(UsageError, match="no run in"):
        submit(tmp_path / "run", tmp_path / "test", out=tmp_path / "s.csv")
    with pytest.raises(UsageError, match="clip is 95"):
        submit(tmp_path / "run", tmp_path / "test", out=tmp_path / "s.csv", clip=95)
    with pytest.raises(UsageError, match="no run to ask"):
        submit([], tmp_path / "test", out=tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()


def drawn(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype="u1")
    Image.fromarray(levels).save(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on three classes."""
    from impasto.learning.classify import classify

    folder = tmp_path_factory.mktemp("three")
    for number in range(90):
        drawn(folder / "train" / f"c{number % 3}" / f"{number}.png", number)
    how = {"network": "pocket", "size": 24, "stages": ("head:1",), "valid": 0.4, "device": "cpu", "augment": ()}
    classify(folder / "train", run=folder / "run", **how)
    return folder / "run"


def submitted(run: Path, data: Path, out: Path, **how: object) -> list[list[str]]:
    submit(run, data, out=out, device="cpu", **how)  # type: ignore[arg-type]
    return rows(out.read_text())


def test_pictures_in_whatever_folders_of_many_classes_are_submitted(run: Path, tmp_path: Path) -> None:
    places = ("1.png", "deep/er/2.png", "train/3.png", "c0/4.png")
    for number, place in enumerate(places):
        drawn(tmp_path / "test" / place, 100 + number)
    found = submitted(run, tmp_path / "test", tmp_path / "s.csv")
    assert found[0] == ["img", "c0", "c1", "c2"]
    assert [row[0] for row in found[1:]] == ["1.png", "2.png", "3.png", "4.png"]
    assert all(sum(map(float, row[1:])) == pytest.approx(1, abs=1e-7) for row in found[1:])


def test_a_manifest_that_lies_elsewhere_is_read_as_one(run: Path, tmp_path: Path) -> None:
    for number in range(3):
        drawn(tmp_path / "pictures" / "zebra" / f"{number}.png", number)
    listed = [{"path": f"zebra/{number}.png", "label": "zebra", "split": "test"} for number in (2, 0)]
    (tmp_path / "lists").mkdir()
    Manifest.from_rows(listed, tmp_path / "pictures").save(tmp_path / "lists" / "data.parquet")
    found = submitted(run, tmp_path / "lists" / "data.parquet", tmp_path / "s.csv", calibrate=False)
    assert [row[0] for row in found[1:]] == ["0.png", "2.png"]


def test_digits_of_idx_files_are_known_by_their_places(run: Path, tmp_path: Path) -> None:
    from impasto.learning.scan import scan

    folder = tmp_path / "digits#1"
    folder.mkdir()
    digits = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype="u1")
    head = bytes([0, 0, 8, 3]) + b"".join(side.to_bytes(4, "big") for side in digits.shape)
    (folder / "t10k-images-idx3-ubyte").write_bytes(head + digits.tobytes())
    scan(folder).save(tmp_path / "digits.parquet")
    for source in (folder, tmp_path / "digits.parquet"):
        found = submitted(run, source, tmp_path / "s.csv", id_from="number", calibrate=False)
        assert [row[0] for row in found[1:]] == ["0", "1", "2"]


def test_what_cannot_be_written_is_told_before_a_picture_is_looked_at(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from impasto.learning import predict as craft

    for place in ("a/1.png", "b/1.png"):
        drawn(tmp_path / "test" / place, 0)
    monkeypatch.setattr(craft, "predict", lambda *arguments, **how: pytest.fail("it looked"))
    with pytest.raises(UsageError, match="would both be '1.png'"):
        submitted(run, tmp_path / "test", tmp_path / "s.csv")
    with pytest.raises(UsageError, match="2 columns are named"):
        submitted(run, tmp_path / "test", tmp_path / "s.csv", columns=["id", "label"])
    assert not (tmp_path / "s.csv").exists()
