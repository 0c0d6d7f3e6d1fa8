"""Options of training restoration and segmentation: what each task begins with, and what is refused in one line."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from impasto.cli.output import chosen
from impasto.errors import UsageError
from impasto.runs.options_file import read_options, validate
from impasto.translation.options import EnhancementOptions, SegmentationOptions


def made(**values: Any) -> EnhancementOptions:
    return validate(EnhancementOptions, values)


# Defaults of the tasks


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {"task": "restore", "scale": 1, "size": 96, "zooms": (1.0,), "stages": ("all:40",), "crops": 16}),
        ({"task": "superres"}, {"task": "superres", "scale": 2, "size": 96, "zooms": (1.0, 0.75, 0.5)}),
        ({"scale": 4}, {"task": "superres", "scale": 4, "size": 192, "zooms": (1.0, 0.75, 0.5)}),
        ({"task": "superres", "scale": "3"}, {"task": "superres", "scale": 3, "size": 144}),
        ({"scale": 8, "size": 64, "zooms": [1.0]}, {"scale": 8, "size": 64, "zooms": (1.0,)}),
        ({"task": "colorize"}, {"size": 128, "crops": 4, "batch_size": 8, "stages": ("decoder:5", "all:20")}),
        ({"task": "colorize", "crops": 7, "stages": "all:1"}, {"crops": 7, "size": 128, "stages": ("all:1",)}),
        ({"task": "restore", "scale": 1}, {"task": "restore", "scale": 1}),
    ],
    ids=str,
)
def test_each_task_has_defaults_of_its_own(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    for options in (made(**given), EnhancementOptions(**given)):
        assert {name: getattr(options, name) for name in wanted} == wanted


@pytest.mark.parametrize("given", [{}, {"scale": 4}, {"task": "colorize"}, {"size": 64, "task": "superres"}], ids=str)
def test_a_task_s_defaults_do_not_count_as_given(given: dict[str, Any]) -> None:
    for options in (made(**given), EnhancementOptions(**given)):
        assert options.model_dump(exclude_unset=True) == given
        assert validate(EnhancementOptions, options.model_dump(exclude_unset=True)) == options


def test_options_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    for options in (
        made(scale=4, stages=("all:3@96", "gan:1*1e-5"), weights="none", feature_taps=["relu1_1"], recipe="bicubic:4"),
        made(task="colorize", clip=None, switch=None, seed=2**63 - 1, feature_weights="w"),
        validate(SegmentationOptions, {"void": 11, "classes": ["sky", "Straße"], "weights": "w", "zooms": [0.5, 1]}),
    ):
        path = tmp_path / "options.yaml"
        path.write_text(yaml.safe_dump(options.model_dump(mode="json"), allow_unicode=True), encoding="utf-8")
        assert validate(type(options), read_options(type(options), path)) == options


@pytest.mark.parametrize("given", [{"task": "superres"}, {"task": "colorize"}], ids=str)
def test_the_help_says_what_a_task_begins_with(given: dict[str, Any]) -> None:
    restore, own = made(), made(**given)
    differing = [name for name in vars(own) if name != "task" and getattr(own, name) != getattr(restore, name)]
    assert differing
    for name in differing:
        value = getattr(own, name)
        words = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if (own.task, name) == ("superres", "size"):
            words = "48 × scale"
        said = EnhancementOptions.model_fields[name].description or ""
        assert f"of {own.task}: {words}" in said, name


# Files and flags


@pytest.mark.parametrize(
    ("file", "flags", "wanted"),
    [
        ({"task": "colorize"}, {"size": 64}, {"task": "colorize", "size": 64, "crops": 4}),
        ({"scale": 4}, {"batch_size": 4}, {"task": "superres", "scale": 4, "size": 192, "batch_size": 4}),
        ({"scale": 2, "size": 100}, {"scale": 3}, {"scale": 3, "size": 100}),
        ({"task": "superres"}, {"scale": 3}, {"task": "superres", "scale": 3, "size": 144}),
        (
            {"task": "colorize", "width": 8},
            {"task": "restore"},
            {"task": "restore", "width": 8, "size": 96, "crops": 16},
        ),
        ({"automatic_stop": False}, {}, {"automatic_stop": False, "task": "restore"}),
    ],
    ids=str,
)
def test_flags_go_over_a_file_and_both_over_the_task(
    file: dict[str, Any], flags: dict[str, Any], wanted: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(file))
    options = chosen(EnhancementOptions, path, EnhancementOptions(**flags))
    assert {name: getattr(options, name) for name in wanted} == wanted
    assert options.model_dump(exclude_unset=True).keys() == file.keys() | flags.keys()


def test_flags_of_a_segmentation_go_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("void: 11\nclasses: [road, sky]\n")
    options = chosen(SegmentationOptions, path, SegmentationOptions(void=3))
    assert (options.void, options.classes, options.stages) == (3, ("road", "sky"), ("decoder:10", "all:20"))


def test_a_segmentation_knows_settings_of_a_u_net_only_and_reads_files_of_older_runs() -> None:
    others = {"blocks": None, "fold": None, "factored": False}
    assert not others.keys() & SegmentationOptions.model_fields.keys()
    assert validate(SegmentationOptions, others | {"void": 3}) == SegmentationOptions(void=3)
    for name, value in {"blocks": 3, "fold": 2, "factored": True}.items():
        with pytest.raises(UsageError, match=f"no option '{name}': there are architecture, encoder"):
            validate(SegmentationOptions, {name: value})


# Single fields


def test_one_is_as_good_as_several() -> None:
    assert made(stages="all:3").stages == ("all:3",)
    assert validate(SegmentationOptions, {"stages": "decoder:1", "classes": "road"}).classes == ("road",)


def test_files_and_runs_keep_their_place_when_the_work_goes_on_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/X2").mkdir(parents=True)
    options = made(weights="w", feature_weights="deep/v", init="runs/X2")
    assert (options.weights, options.feature_weights) == (tmp_path / "w", tmp_path / "deep/v")
    assert options.init == str(tmp_path / "runs/X2")
    assert made(init="superres-x2").init == "superres-x2" and made().init is None
    assert made(weights="none").weights == "none" and made().weights is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": 3}, "no option 'epochs': there are architecture, encoder"),
        ({"task": "segment"}, "task is 'segment': it should be 'superres', 'restore' or 'colorize'"),
        ({"task": "superres", "scale": 1}, "superres enlarges: give --scale 2, 3 or 4"),
        ({"task": "restore", "scale": 2}, "restore keeps the size: leave --scale out, or take --task superres"),
        ({"task": "colorize", "scale": 4}, "colorize keeps the size"),
        ({"scale": 100}, "^scale is 100: it should be less than or equal to 8$"),
        ({"scale": 0}, "^scale is 0: it should be greater than or equal to 1$"),
        ({"scale": "²"}, "^scale is '²': it should be a valid integer"),
        ({"scale": [2]}, r"^scale is \[2\]: it should be a valid integer"),
        ({"stages": ()}, "no stages: give one at least"),
        ({"stages": ("all:2", "all")}, "'all' is no stage: write LAYERS:EPOCHS"),
        ({"stages": "head:2"}, "'head:2' is no stage: what learns is decoder or all or gan"),
        ({"zooms": (1.0, 1.5)}, r"zooms are \(1.0, 1.5\): give factors from 0.05 to 1"),
        ({"zooms": (0.04,)}, "give factors from 0.05 to 1"),
        ({"zooms": ()}, "give factors from 0.05 to 1"),
        ({"architecture": "resnet"}, "architecture"),
        ({"width": 3}, "width is 3: it should be greater than or equal to 4"),
        ({"blocks": 0}, "blocks"),
        ({"fold": 9}, "fold"),
        ({"norm": "layer"}, "norm"),
        ({"size": 7}, "size is 7"),
        ({"crops": 0}, "crops"),
        ({"batch_size": 0}, "batch_size"),
        ({"optimizer": "adamm"}, "optimizer"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"discriminative": 0}, "discriminative"),
        ({"schedule": "cyclic"}, "schedule"),
        ({"clip": 0}, "clip"),
        ({"average": 1.0}, "average"),
        ({"valid": 1.0}, "valid"),
        ({"gray": 1.1}, "gray"),
        ({"features": -1}, "features"),
        ({"pixel_loss": "l2"}, "pixel_loss"),
        ({"memory": 0}, "memory"),
        ({"seed": -1}, "seed"),
        ({"adversarial": "lsgan"}, "adversarial"),
        ({"critic": "dcgan"}, "critic"),
        ({"switch": 0}, "switch"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_what_is_asked_wrongly_is_one_line(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        validate(EnhancementOptions, fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"task": "restore"}, "no option 'task'"),
        ({"stages": ("gan:2",)}, "'gan:2' is no stage: what learns is decoder or all, as all:40"),
        ({"architecture": "light"}, "architecture is 'light': it should be 'unet'"),
        ({"void": 256}, "void"),
        ({"balance": 1.5}, "balance"),
        ({"batch_size": 1}, "batch_size"),
    ],
    ids=str,
)
def test_what_is_asked_wrongly_of_a_segmentation_is_one_line(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        validate(SegmentationOptions, fields)
    assert "\n" not in str(caught.value)
