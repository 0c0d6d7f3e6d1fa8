"""impasto data: scan, split, sample, audit on the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.cli.app import run
from impasto.learning.manifest import Manifest

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of twelve pictures, and a working directory beside them."""
    for number in range(24):
        path = tmp_path / "pets" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(levels).resize((96, 72), Image.Resampling.BICUBIC).save(path)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "pets"


def said(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert err == ""
    return out


def complained(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_scan_split_sample_and_audit_one_after_the_other(pets: Path, capsys: Output) -> None:
    assert run(["data", "scan", "../pets"]) == 0
    assert said(capsys) == "data.parquet  24 pictures; 2 classes (cat, dog); no split yet 24\n"
    assert run(["data", "split", "data.parquet", "--valid", "0.25", "--test", "0.25"]) == 0
    assert said(capsys).startswith("data.parquet  24 pictures; 2 classes (cat, dog); ")
    assert Manifest.load("data.parquet").counts("split") == {"train": 12, "valid": 6, "test": 6}
    assert run(["data", "sample", "data.parquet", "--count", "12", "--copy-to", "few"]) == 0
    assert len(Manifest.load("sample.parquet")) == 12
    assert len(list(Path("few").glob("*/*/*.png"))) == 12
    assert "train 6" in said(capsys)
    assert run(["data", "audit", "data.parquet"]) == 0
    assert "data.parquet  24 pictures, 1 warning\n" in said(capsys)  # six of each are few


def test_split_again_forgets_the_splits(capsys: Output) -> None:
    assert run(["data", "split", "../pets", "--valid", "0.25", "--out", "one.parquet"]) == 0
    assert run(["data", "split", "one.parquet", "--valid", "0.5"]) == 0
    assert Manifest.load("one.parquet").counts("split")["valid"] == 6
    assert run(["data", "split", "one.parquet", "--valid", "0.5", "--again"]) == 0
    assert Manifest.load("one.parquet").counts("split")["valid"] == 12
    assert "Error" not in said(capsys)


def test_an_audit_with_errors_exits_with_one_and_says_them_as_json(pets: Path, capsys: Output) -> None:
    run(["data", "split", "../pets", "--valid", "0.5"])
    manifest = Manifest.load("data.parquet")
    first = {split: manifest.column("split").index(split) for split in ("train", "valid")}
    manifest.file(first["valid"]).write_bytes(manifest.file(first["train"]).read_bytes())
    manifest.file(first["train"] + 1).write_bytes(b"no picture")
    said(capsys)
    assert run(["data", "audit", "data.parquet", "--json", "--out", "audit.html"]) == 1
    told = json.loads(said(capsys))
    checks = {one["check"] for one in told["findings"] if one["severity"] == "error"}
    assert {"broken files", "exact duplicates"} <= checks
    assert told["errors"] == len([one for one in told["findings"] if one["severity"] == "error"])
    assert "exact duplicates" in Path("audit.html").read_text()


def test_a_manifest_is_written_over_only_by_its_own_split_or_when_asked(pets: Path, capsys: Output) -> None:
    assert run(["data", "scan", "../pets"]) == 0
    assert run(["data", "sample", "data.parquet", "--count", "4"]) == 0
    before = {path: path.read_bytes() for path in Path().glob("*.parquet")}
    said(capsys)
    for arguments in (["scan", "../pets"], ["sample", "data.parquet", "--count", "6"], ["split", "../pets"]):
        assert run(["data", *arguments]) == 2
        assert "exists: say --replace to write over it" in complained(capsys)
    assert before == {path: path.read_bytes() for path in Path().glob("*.parquet")}
    assert run(["data", "split", "data.parquet"]) == 0
    assert run(["data", "sample", "data.parquet", "--count", "6", "--replace"]) == 0
    assert len(Manifest.load("sample.parquet")) == 6
    assert run(["data", "scan", "../pets", "--replace"]) == 0
    assert Manifest.load("data.parquet").counts("split") == {None: 24}


def test_what_is_odd_is_told_once_by_the_scan(pets: Path, capsys: Output) -> None:
    (pets / "cat" / "0.png").write_bytes(b"no picture")
    assert run(["data", "scan", "../pets"]) == 0
    assert "1 of 25 pictures cannot be read, the first: " in capsys.readouterr().err
    assert run(["data", "scan", "../pets/dog", "--layout", "{label}"]) == 2
    capsys.readouterr()
    (pets / "cat").rename(pets.parent / "away")
    assert run(["data", "scan", "../pets", "--out", "one.parquet"]) == 0
    assert capsys.readouterr().err == "impasto: ../pets has one class only, dog: nothing can be told apart\n"
    run(["data", "audit", "../pets"])
    assert capsys.readouterr().err == ""


def test_a_report_that_has_nothing_to_say_says_so(pets: Path, capsys: Output) -> None:
    run(["data", "scan", "../pets"])
    said(capsys)
    assert run(["data", "audit", "data.parquet", "--out", "audit.html"]) == 0
    out = said(capsys).splitlines()[-1]
    assert out.endswith("; audit.html has the pictures") == ("nothing found" not in out)


def test_a_table_with_its_columns_named(pets: Path, capsys: Output) -> None:
    lines = ["where,what,who,a,b,c,d", *(f"dog/{n}.png,{'xy'[n // 2 % 2]},{n % 4},1,2,3,4" for n in range(0, 24, 2))]
    Path("../pets/list.csv").write_text("\n".join(lines))
    columns = ["--path-column", "where", "--label-column", "what", "--group-column", "who", "--box-columns", *"abcd"]
    assert run(["data", "scan", "../pets/list.csv", *columns, "--json"]) == 0
    told = json.loads(said(capsys))
    assert (told["pictures"], told["classes"], told["groups"]) == (12, ["x", "y"], 2)
    assert Manifest.load("data.parquet").column("box")[0] == [1, 2, 3, 4]
    assert run(["data", "scan", "../pets/list.csv", *columns, "--no-pictures", "--out", "bare.parquet"]) == 0
    assert Manifest.load("bare.parquet").column("sha256") == [None] * 12


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["scan", "nothing"], "does not exist"),
        (["scan", "../pets", "--out", "data.csv"], "name it data.parquet"),
        (["scan", "../pets", "--out", "nowhere/data.parquet"], "nowhere does not exist"),
        (["scan", "../pets", "--out", "other.parquet"], "exists and is no manifest"),
        (["split", "../pets", "--valid", "0.6", "--test", "0.5"], "nothing to train on"),
        (["split", "../pets", "--grouped"], "no groups"),
        (["sample", "../pets"], "either a number"),
        (["sample", "../pets", "--count", "4", "--copy-to", "../pets/few"], "within the pictures' own folder"),
        (["sample", "../pets", "--count", "4", "--copy-to", "a", "--link-to", "b"], "one of the two"),
        (["audit", "../pets", "--out", "audit.pdf"], ".html or .json"),
        (["audit", "other.parquet"], "no column of paths"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(arguments: list[str], words: str, capsys: Output) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"number": [1]}), "other.parquet")
    assert run(["data", *arguments]) in (1, 2)
    assert words in complained(capsys)
    assert {path.name for path in Path().iterdir()} == {"other.parquet"}
    assert len(list(Path("../pets").rglob("*"))) == 26


@pytest.mark.parametrize("command", [["data", "sample-size"], ["augment-search"]])
def test_pictures_without_classes_are_refused_before_a_network_is_loaded(
    command: list[str], pets: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    from impasto import networks

    monkeypatch.setattr(networks, "load", lambda *names, **how: pytest.fail("it was loaded"))
    for place in ("../pets/dog", str(pets / "cat")):
        assert run([*command, place]) == 2
        assert f"{place} has no labels to learn from: put the pictures of each class in" in complained(capsys)
    (pets / "cat").rename(pets.parent / "away")
    assert run([*command, "../pets"]) == 2
    assert "one class only (dog)" in complained(capsys)


@pytest.mark.parametrize("command", ["scan", "split", "sample", "audit"])
def test_help_teaches_by_examples(command: str, capsys: Output) -> None:
    assert run(["data", command, "--help"]) == 0
    assert f"impasto data {command} " in said(capsys)
