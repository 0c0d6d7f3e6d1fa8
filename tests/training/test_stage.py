"""Stages of training: read as they are written, or refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import UsageError
from impasto.training.stage import Stage, parse_stage

LAYERS = st.sampled_from(["head", "all", "decoder", "gan", "features.7", "relu3_1", "layer4.0.conv2", "blocks.3"])
RATES = st.none() | st.floats(1e-300, 1e300)


@given(st.builds(Stage, LAYERS, st.integers(1, 10**6), RATES, st.none() | st.integers(8, 4096)))
def test_a_stage_that_is_written_is_read_as_it_was(stage: Stage) -> None:
    text = f"{stage.layers}:{stage.epochs}"
    text += f"@{stage.size}" if stage.size else ""
    text += f"*{stage.learning_rate!r}" if stage.learning_rate else ""
    assert parse_stage(text) == stage


def test_what_is_not_said_is_left_to_the_options() -> None:
    assert parse_stage("all:3") == Stage("all", 3, None, None)
    assert parse_stage("decoder:2@8*2") == Stage(layers="decoder", epochs=2, learning_rate=2.0, size=8)


@given(st.text(max_size=20))
def test_any_other_text_is_one_line(text: str) -> None:
    try:
        stage = parse_stage(text)
    except UsageError as error:
        assert "\n" not in str(error).replace(repr(text), "") and "write LAYERS:EPOCHS" in str(error)
    else:
        assert stage.layers and stage.epochs >= 1


@pytest.mark.parametrize(
    "text",
    ["head", "head:", ":3", "head:0", "head:-1", "head:1.5", "head:3@", "head:3@7", "all:3*0", "all:3*-1", "all:3*x",
     "all:3*1e999", "all:3*1e-4@160", "head:3 all:2", " head:3", "head:3\n", ""],
)  # fmt: skip
def test_what_is_no_stage_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no stage: write LAYERS:EPOCHS"):
        parse_stage(text)
