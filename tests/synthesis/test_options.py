"""Options: the one definition of what can be asked."""

from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from impasto.errors import UsageError
from impasto.losses.names import StyleLossName
from impasto.losses.style import STYLE_LOSSES
from impasto.runs.options_file import validate
from impasto.synthesis.invert import STEPS
from impasto.synthesis.options import (
    InversionOptions,
    StyleOptions,
    StyleTransferOptions,
    SynthesisOptions,
    TextureOptions,
)

MODELS: list[type[BaseModel]] = [StyleTransferOptions, TextureOptions, InversionOptions]


def refused(model, **values) -> str:
    with pytest.raises(UsageError) as caught:
        validate(model, values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_names_of_the_losses_are_those_there_are():
    assert get_args(StyleLossName) == tuple(STYLE_LOSSES)


@pytest.mark.parametrize("model", [SynthesisOptions, StyleOptions, *MODELS], ids=lambda model: model.__name__)
def test_every_option_is_described_and_has_a_default(model):
    assert all(field.description and field.description.endswith(".") for field in model.model_fields.values())
    assert model() == validate(model, {})


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_options_come_back_from_json_and_yaml(model):
    given = {
        StyleTransferOptions: {
            "loss": ("gram", "mrf"),
            "loss_weights": (1, 2),
            "masks": (Path("a.png"),),
            "weights": Path("w.safetensors"),
            "taps": "relu1_1",
            "average": 0.5,
        },
        TextureOptions: {"size": "64×48", "tileable": True, "stroke": 2},
        InversionOptions: {"taps": ("pixels", "relu1_1"), "init": "noise", "tile": 64},
    }[model]
    options = validate(model, given)
    dumped = options.model_dump(mode="json", exclude_defaults=True)
    assert dumped.keys() == given.keys()
    assert validate(model, yaml.safe_load(yaml.safe_dump(dumped))) == options


@pytest.mark.parametrize("name", ["loss", "taps", "content_taps", "masks", "style_masks"])
def test_one_name_stands_for_a_tuple_of_one(name):
    value = {"loss": "mrf", "masks": "a.png", "style_masks": Path("a.png")}.get(name, "relu1_1")
    assert getattr(validate(StyleTransferOptions, {name: value}), name) == (type(value)(value),) or getattr(
        validate(StyleTransferOptions, {name: value}), name
    ) == (Path(value),)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"loss": ()}, "loss"),
        ({"loss": ("gram", "grim")}, "grim"),
        ({"loss_weights": (1, 2)}, "2 loss weights for 1 losses"),
        ({"loss": ("gram", "mrf"), "loss_weights": (1,)}, "1 loss weights for 2 losses"),
        ({"loss_weights": (0,)}, "loss_weights"),
        ({"style_weights": (-1,)}, "style_weights"),
        ({"style_weights": (float("inf"),)}, "style_weights"),
        ({"average": 1}, "average"),
        ({"average": -0.1}, "average"),
        ({"tile": 8}, "tile"),
        ({"memory": 0}, "memory"),
        ({"steps": 0}, "steps"),
        ({"scales": 0}, "scales"),
        ({"stroke": 0}, "stroke"),
        ({"smoothness": -1}, "smoothness"),
        ({"color": "kept"}, "color"),
        ({"pooling": "min"}, "pooling"),
        ({"seed": 2**63}, "seed"),
        ({"strenght": 1}, "strenght"),
    ],
    ids=str,
)
def test_what_is_out_of_bounds_is_named(values, said):
    assert said in refused(StyleTransferOptions, **values)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("64x48", (48, 64)), ("1024×768", (768, 1024)), ("32x32", (32, 32)), ("64", None), ("", None)],
)
def test_a_textures_size_is_width_times_height(size, expected):
    if expected:
        assert validate(TextureOptions, {"size": size}).height_and_width == expected
    else:
        assert refused(TextureOptions, size=size) == (
            f"size is {size!r}: it must be WIDTHxHEIGHT, each 32 or more, like 1024x768"
        )


def test_inversion_says_of_its_steps_and_scales_what_is_true():
    said = {name: InversionOptions.model_fields[name].description for name in ("steps", "scales")}
    assert f"Default: {STEPS}." in said["steps"] and "Default: 1." in said["scales"]
    for name, least, most in (("steps", 1, 10000), ("scales", 1, 20)):
        for value in (least - 1, most + 1):
            assert name in refused(InversionOptions, **{name: value})
            assert name in refused(StyleTransferOptions, **{name: value})


def test_options_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        StyleTransferOptions().strength = 1
