"""Options of training a classifier: what counts as given, and what is refused in one line."""

import math
from pathlib import Path

import pytest

from impasto.errors import UsageError
from impasto.learning.options import ClassifierOptions
from impasto.runs.options_file import read_options, validate


def test_one_is_as_good_as_several() -> None:
    options = validate(ClassifierOptions, {"stages": "head:3", "augment": "flip", "teachers": "r", "distillation": 1})
    assert options.stages == ("head:3",) and options.augment == ("flip",)
    assert options.teachers == (Path("r").absolute(),)


def test_files_keep_their_place_when_the_work_goes_on_elsewhere() -> None:
    options = ClassifierOptions(weights=Path("w"), unlabelled=Path("u"), teachers=(Path("t"), Path("/abs")))
    assert options.model_dump(mode="json", include={"weights", "unlabelled", "teachers"}) == {
        "weights": str(Path("w").absolute()), "unlabelled": str(Path("u").absolute()),
        "teachers": [str(Path("t").absolute()), "/abs"],
    }  # fmt: skip


def test_options_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    import yaml

    options = ClassifierOptions(stages=("head:2@16", "all:1*1e-4"), learning_rate="auto", clip=0.5, weights=Path("w"))
    (tmp_path / "options.yaml").write_text(yaml.safe_dump(options.model_dump(mode="json")))
    assert validate(ClassifierOptions, read_options(ClassifierOptions, tmp_path / "options.yaml")) == options


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": 3}, "no option 'epochs': there are network, weights"),
        ({"stages": ()}, "no stages: give one at least"),
        ({"stages": ("head:2", "all")}, "'all' is no stage"),
        ({"learning_rate": 0}, "must be greater than 0"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"size": 4}, "size is 4: it should be greater than or equal to 8"),
        ({"batch_size": 1}, "batch_size"),
        ({"valid": 0.0}, "valid"),
        ({"dropout": 1.0}, "dropout"),
        ({"optimizer": "adamm"}, "optimizer"),
        ({"schedule": "cyclic"}, "schedule"),
        ({"pseudo_share": 0.6}, "pseudo_share"),
        ({"unlabelled": "u"}, "pseudo-labels need a run that gives them"),
        ({"teachers": ["t"]}, "nothing to ask them"),
        ({"distillation": 0.5}, "distillation needs a teacher"),
        ({"boxes": True, "mixup": 0.2}, "boxes cannot be mixed"),
        ({"network": "scratch:plain", "weights": "w"}, "scratch:plain knows nothing yet: leave --weights out"),
        ({"patience": 0}, "patience"),
        ({"clip": 0}, "clip"),
        ({"average": 1.0}, "average"),
        ({"memory": 0}, "memory"),
        ({"seed": -1}, "seed"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_what_is_asked_wrongly_is_one_line(fields: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        validate(ClassifierOptions, fields).require_fit()
    assert "\n" not in str(caught.value)


def test_flags_may_fit_only_with_what_the_file_says() -> None:
    flags = validate(ClassifierOptions, {"distillation": 0.5})
    both = validate(ClassifierOptions, {"teachers": ["t"]} | flags.model_dump(exclude_unset=True))
    both.require_fit()


def test_a_network_from_scratch_has_defaults_of_its_own() -> None:
    fresh = validate(ClassifierOptions, {"network": "scratch:plain"})
    assert (fresh.stages, fresh.learning_rate) == (("all:10",), 5e-3)
    assert validate(ClassifierOptions, {"network": "scratch:plain", "stages": "all:2"}).stages == ("all:2",)
    assert validate(ClassifierOptions, {"augment": "none"}).augment == ()
