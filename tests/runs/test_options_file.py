"""Options: one validated model from keywords or a file, or one clear line."""

import pytest
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.runs.options_file import read_options, validate
from impasto.synthesis.options import StyleTransferOptions as Options

OPTIONS = st.builds(
    Options,
    size=st.none() | st.integers(16, 10**5),
    strength=st.floats(0, 1),
    style_weights=st.lists(st.floats(1e-6, 1e6), max_size=3).map(tuple),
    loss=st.sampled_from(["gram", "wasserstein", "meanstd"]),
    network=st.sampled_from(["pocket", "vgg19", "timm:resnet18"]),
    taps=st.lists(st.sampled_from(["relu1_1", "relu2_1"]), max_size=2).map(tuple),
    init=st.sampled_from(["content", "noise", "some/picture.png"]),
    smoothness=st.floats(0, 10),
    seed=st.integers(0, 2**63),
)


def refused(values: dict) -> str:
    with pytest.raises(UsageError) as caught:
        validate(Options, values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def file(tmp_path, text: str | bytes):
    path = tmp_path / "options.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_what_is_not_given_keeps_its_default():
    assert validate(Options, {}) == Options()
    assert validate(Options, {"strength": 0.25}) == Options(strength=0.25)


def test_an_unknown_option_is_named_and_the_known_ones_are_listed():
    message = refused({"strenght": 0.5})
    assert "'strenght'" in message and "strength" in message and "style_weights" in message


@pytest.mark.parametrize(
    "values",
    [
        {"strength": 2},
        {"strength": -0.1},
        {"strength": float("nan")},
        {"strength": "much"},
        {"size": 15},
        {"size": 64.5},
        {"size": "large\nlarger"},
        {"smoothness": -1},
        {"smoothness": float("nan")},
        {"smoothness": float("inf")},
        {"style_weights": [1, 0]},
        {"style_weights": [1, -1]},
        {"style_weights": [float("inf"), 1]},
        {"style_weights": [float("nan"), 1]},
        {"loss": "gramm"},
        {"seed": -1},
        {"seed": None},
        {"stroke": 0},
        {"quality": "perfect"},
        {"color": "KEEP"},
        {"taps": 5},
        {"device": "abacus"},
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_named_in_one_line(values):
    assert next(iter(values)) in refused(values)


def test_all_that_is_wrong_is_said_at_once():
    message = refused({"strength": 2, "stroke": 0, "nonsense": 1})
    assert all(name in message for name in ("strength", "stroke", "nonsense"))


def test_a_file_gives_the_options_that_it_names(tmp_path):
    path = file(tmp_path, "strength: 0.7  # more\nloss: meanstd\nstyle_weights: [2, 1]\n")
    assert read_options(Options, path) == {"strength": 0.7, "loss": "meanstd", "style_weights": [2, 1]}


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_file_gives_no_options(tmp_path, text):
    assert read_options(Options, file(tmp_path, text)) == {}


@pytest.mark.parametrize(
    "text, says",
    [
        ("strength: 2\n", "strength"),
        ("strenght: 0.5\n", "'strenght'"),
        ("strength: 0.5\n  loss: [\n", "line"),
        ("- strength\n", "mapping"),
        ("just words\n", "mapping"),
        ("strength: !!python/object/apply:os.getcwd []\n", "YAML"),
        (b"\xff\xfe\x00strength", "YAML"),
        (b"strength: \x00", "YAML"),
        ("1: 2\n", "1"),
        ("on: 2\n", "True"),
        ("? [a, b]\n: 2\n", "option"),
    ],
)
def test_a_file_that_holds_no_options_is_named_with_the_reason(tmp_path, text, says):
    path = file(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_options(Options, path)
    message = str(caught.value)
    assert str(path) in message and says in message.replace(str(path), "") and "\n" not in message


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UsageError, match="cannot be read") as caught:
            read_options(Options, path)
        assert str(path) in str(caught.value)
