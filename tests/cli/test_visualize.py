"""impasto visualize: pictures of units in a file, and one line for what is asked wrongly."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from impasto.cli.app import run
from impasto.images import read, read_recipe
from impasto.learning.classifier import classifier
from impasto.learning.classifier import save as save_classifier
from impasto.runs.directory import RunDirectory

Output = pytest.CaptureFixture[str]
QUICK = ["--size", "32", "--steps", "2"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(folder: Path) -> str:
    """A finished run of a classifier, its weights random: what a run's network is, learning's own tests show."""
    torch.manual_seed(0)
    model = classifier(("lying", "spots", "standing"), network="pocket", size=32)
    torch.nn.init.normal_(model.head[-1].weight)
    directory = RunDirectory.create(folder / "runs" / "tuned", verb="train", options={"verb": "classify"}, manifest={})
    save_classifier(model, directory.path / "model.safetensors")
    manifest = directory.path / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"status": "finished"}))
    return "runs/tuned"


def test_the_pictures_lie_in_this_folder_named_by_network_and_units(folder: Path, capsys: Output) -> None:
    assert run(["visualize", "--unit", "relu1_1:3", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("pocket-relu1_1-3.png  1 picture, ")
    assert run(["visualize", "--unit", "relu1_1:3", *QUICK]) == 0
    assert run(["visualize", "--unit", "relu1_1:3-4", "layer(relu1_1)", "relu2_1:1", "relu2_1:2", *QUICK]) == 0
    assert run(["visualize", "--unit", "relu1_1:3 - 0.5*relu1_1:4", *QUICK]) == 0
    assert {path.name for path in folder.iterdir()} == {
        "pocket-relu1_1-3-4-layer(relu1_1)-relu2_1-1.png",
        "pocket-relu1_1-3---0.5-relu1_1-4.png",
        "pocket-relu1_1-3-2.png",
        "pocket-relu1_1-3.png",
    }
    assert read("pocket-relu1_1-3.png").width == 32
    assert read("pocket-relu1_1-3-4-layer(relu1_1)-relu2_1-1.png").width > 5 * 32


def test_options_come_from_flags_and_a_file(capsys: Output) -> None:
    Path("how.yaml").write_text("size: 48\nsteps: 9\nseed: 7\nrobustness: jitter\n")
    arguments = ["--unit", "relu1_1:3", "--options", "how.yaml", "--steps", "2", "--no-decorrelate", "--out", "a.webp"]
    assert run(["visualize", *arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert err == "" and out.count("\n") == 1
    assert facts["out"] == "a.webp" and facts["finished"] is True and facts["seconds"] >= 0
    assert [one["unit"] for one in facts["units"]] == ["relu1_1:3"] and facts["units"][0]["predicted"] == []
    recipe = json.loads(read_recipe("a.webp") or "")
    wanted = {"size": 48, "steps": 2, "seed": 7, "robustness": "jitter", "decorrelate": False}
    assert recipe["verb"] == "visualize" and wanted.items() <= recipe["options"].items()


def test_another_network_stands_beside(trained: str, capsys: Output) -> None:
    assert run(["visualize", "--unit", "relu1_1:0-1", "--compare", trained, "--out", "both.png", "--json", *QUICK]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [one["unit"] for one in facts["units"]] == ["relu1_1:0", "relu1_1:1"] * 2
    assert [bool(one["predicted"]) for one in facts["units"]] == [False, False, True, True]
    one = read("both.png").height
    assert run(["visualize", "--unit", "relu1_1:0-1", "--out", "one.png", *QUICK]) == 0
    assert one > 1.8 * read("one.png").height


def test_classes_of_a_run_are_units(trained: str, capsys: Output) -> None:
    units = ["class:spots", "head:0", "output:0-2"]
    assert run(["visualize", "--network", trained, "--unit", *units, "--json", *QUICK]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [one["unit"] for one in facts["units"]] == [
        "class(spots)", "0 lying", "class(lying)", "class(spots)", "class(standing)",
    ]  # fmt: skip
    assert facts["out"] == "tuned-class-spots-head-0-output-0-2.png"
    assert {word for one in facts["units"] for word in one["predicted"]} <= {"lying", "spots", "standing"}
    assert run(["visualize", "--network", "runs/tuned/", "--unit", "head:0", "--json", *QUICK]) == 0
    assert json.loads(capsys.readouterr().out)["out"] == "tuned-head-0.png"


WRONG: dict[str, tuple[list[str], list[str]]] = {
    "nothing": ([], ["no unit is named", "--unit"]),
    "no tap": (["--unit", "relu9_1:3"], ["pocket has no tap 'relu9_1': it has", "relu1_1"]),
    "mistyped tap": (["--unit", "relu2-1:3"], ["relu2_1"]),
    "out of range": (["--unit", "relu1_1:16"], ["relu1_1 of pocket has no unit 16: they are 0 to 15"]),
    "no number": (["--unit", "relu1_1:three"], ["names no unit"]),
    "no classes": (["--unit", "class:goldfish"], ["pocket is no classifier"]),
    "one wrong of two": (["--unit", "relu1_1:3", "relu9_1:3"], ["relu9_1"]),
    "network": (["--network", "pockett", "--unit", "relu1_1:3"], ["pockett"]),
    "compared network": (["--unit", "relu1_1:3", "--compare", "pockett"], ["pockett"]),
    "compared unit": (["--unit", "relu1_1:3", "--compare", "runs/none"], ["runs/none"]),
    "weights": (["--unit", "relu1_1:3", "--weights", "none.pth"], ["none.pth"]),
    "size": (["--unit", "relu1_1:3", "--size", "4"], ["--size", "16"]),
    "steps": (["--unit", "relu1_1:3", "--steps", "none"], ["--steps"]),
    "choice": (["--unit", "relu1_1:3", "--robustness", "much"], ["--robustness", "jitter"]),
    "flag": (["--unit", "relu1_1:3", "--stpes", "3"], ["--stpes", "--steps"]),
    "format": (["--unit", "relu1_1:3", "--out", "a.docx"], ["a.docx", ".png"]),
    "folder": (["--unit", "relu1_1:3", "--out", "none/a.png"], ["none"]),
    "too small": (["--unit", "relu4_1:3", "--options", "small.yaml"], ["small.yaml"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_asked_wrongly_is_told_in_one_line(name: str, folder: Path, capsys: Output) -> None:
    arguments, parts = WRONG[name]
    assert run(["visualize", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("impasto: ")
    assert all(part in err for part in parts), err
    assert list(folder.iterdir()) == []
    assert run(["visualize", *arguments, "--json"]) == 2
    assert set(json.loads(capsys.readouterr().err)) == {"error"}


def test_a_class_that_is_not_there_lists_the_nearest(trained: str, capsys: Output) -> None:
    for unit, said in (("class:spot s", "the nearest are lying, spots, standing"), ("class:9", "they are 0 to 2")):
        assert run(["visualize", "--network", trained, "--unit", unit]) == 2
        assert said in capsys.readouterr().err
    assert run(["visualize", "--network", trained, "--weights", "a.pth", "--unit", "class:spots"]) == 2
    assert "has weights of its own" in capsys.readouterr().err


def test_a_run_that_is_none_of_a_classifier_is_told(folder: Path, capsys: Output) -> None:
    RunDirectory.create(folder / "painting", verb="stylize", options={}, manifest={})
    assert run(["visualize", "--network", "painting", "--unit", "relu1_1:3"]) == 2
    _, err = capsys.readouterr()
    assert "is a run of `impasto stylize`" in err and err.count("\n") == 1


def test_weights_of_another_network_are_told(folder: Path, capsys: Output) -> None:
    save_file({"features.0.weight": torch.zeros(3)}, "other.safetensors")
    assert run(["visualize", "--weights", "other.safetensors", "--unit", "relu1_1:3"]) == 2
    assert "not a weights file of pocket" in capsys.readouterr().err


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ctrl-C when the bar hears something for the so-many-th time."""
    from impasto.runs.bar import Silence

    def at(number: int) -> None:
        heard = [0]

        def part(self: Silence, done: float, words: str) -> None:
            heard[0] += 1
            if heard[0] == number:
                raise KeyboardInterrupt

        monkeypatch.setattr(Silence, "part", part)

    return at


def test_ctrl_c_ends_with_the_pictures_so_far(stopping: Callable[[int], None], capsys: Output) -> None:
    stopping(3)
    arguments = ["--unit", "relu1_1:0-2", "--batch", "1", "--out", "a.png", *QUICK]
    assert run(["visualize", *arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    assert len(json.loads(out)["units"]) == 2 and json.loads(out)["finished"] is False
    assert "interrupted" in json.loads(err)["error"] and read("a.png").width > 64


def test_help_shows_examples_and_defaults(capsys: Output) -> None:
    assert run(["visualize", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "impasto visualize --unit relu3_1:0-31" in said and "--parameterisation" in said and "fourier" in said
