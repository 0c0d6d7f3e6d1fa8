"""The drawing of a network: blocks in order, a line for every input, skips beside the blocks."""

from __future__ import annotations

from impasto.inspection.atlas.content import LayerContent
from impasto.inspection.atlas.site.graph import LANES, WIDEST, draw


def layer(tap: str, *inputs: str, channels: int = 16, stride: int = 1) -> LayerContent:
    return LayerContent(tap, "convolution", channels, stride, 3, inputs)


def test_a_chain_has_lines_straight_down_and_no_lanes() -> None:
    graph = draw([layer("a"), layer("b", "a"), layer("c", "b")])
    assert [(line.source, line.target) for line in graph.lines] == [(0, 1), (1, 2), (2, 3)]
    assert graph.skips == 0
    assert graph.width == WIDEST + 4


def test_a_block_is_wider_with_more_channels_and_lower_with_a_larger_stride() -> None:
    _, few, many, vector = draw([layer("a"), layer("b", "a", channels=512, stride=8), layer("c", "b", stride=0)]).blocks
    assert few.width < many.width
    assert few.height > many.height > vector.height


def test_skips_that_overlap_run_in_lanes_of_their_own_and_others_share_one() -> None:
    residual = [layer("a"), layer("b", "a"), layer("c", "a", "b"), layer("d", "c"), layer("e", "c", "d")]
    nested = [*residual, layer("f", "a", "e")]
    assert draw(residual).skips == 2
    # Two skips that follow each other share a lane; the one around both has another.
    assert draw(residual).width < draw(nested).width


def test_many_lanes_take_no_more_room_than_there_is() -> None:
    names = [f"l{index}" for index in range(40)]
    dense = [layer(name, *names[:index]) for index, name in enumerate(names)]
    graph = draw(dense)
    assert graph.width <= LANES + WIDEST + 4
    assert graph.skips == 40 * 39 // 2 - 39


def test_inputs_that_the_atlas_does_not_hold_are_the_picture() -> None:
    graph = draw([layer("a", "stem"), layer("b", "b")])
    assert [(line.source, line.target, line.skip) for line in graph.lines] == [(0, 1, False), (0, 2, True)]
