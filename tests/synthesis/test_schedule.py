"""The schedule: from coarse to fine, the big network where its work is worth it, and an optimizer that fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.synthesis.options import StyleTransferOptions as Options
from impasto.synthesis.options import TextureOptions
from impasto.synthesis.schedule import ADAM_ABOVE, HALF_ABOVE, LONGEST_HISTORY, SHORTEST_HISTORY, schedule, stage

SIZES = pytest.mark.parametrize("size", [(16, 16), (60, 90), (512, 384), (2000, 700), (6144, 8192)])
QUALITIES = ("draft", "good", "best")


def cost(size, **options) -> float:
    return sum(stage.cost for stage in schedule(size, Options(**options)))


@SIZES
@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("network", ["pocket", "vgg19"])
def test_stages_go_from_coarse_to_fine_and_end_at_the_size(size, quality, network):
    stages = schedule(size, Options(quality=quality, network=network))
    areas = [stage.size[0] * stage.size[1] for stage in stages]
    assert stages[-1].size == size and areas == sorted(areas)
    for one in stages:
        assert one.steps > 0 and one.cost > 0
        assert one.size[0] * size[1] == pytest.approx(one.size[1] * size[0], rel=0.1)


def test_a_large_picture_begins_small():
    stages = schedule((512, 384), Options())
    assert len(stages) > 1 and max(stages[0].size) <= 256


def test_coarse_scales_cost_less_than_the_finest():
    stages = schedule((1024, 768), Options())
    assert sum(stage.cost for stage in stages[:-1]) < 2 * stages[-1].cost


@SIZES
@pytest.mark.parametrize("network", ["pocket", "vgg19"])
def test_more_quality_is_more_work(size, network):
    draft, good, best = (cost(size, quality=quality, network=network) for quality in QUALITIES)
    assert draft < good < best


@SIZES
def test_pocket_does_all_its_own_work(size):
    for quality in QUALITIES:
        assert {stage.network for stage in schedule(size, Options(quality=quality))} == {"pocket"}


@SIZES
def test_a_big_network_is_left_out_finishes_or_does_everything(size):
    draft, good, best = (
        [stage.network for stage in schedule(size, Options(quality=quality, network="vgg19"))] for quality in QUALITIES
    )
    assert set(draft) == {"pocket"}
    assert set(good[:-1]) == {"pocket"} and good[-1] == "vgg19"
    assert set(best) == {"vgg19"}


def test_a_step_of_a_big_network_is_known_to_cost_more():
    pocket, *_, big = schedule((96, 96), Options(network="vgg19"))
    assert big.cost / big.steps > 2 * pocket.cost / pocket.steps


def test_steps_that_are_asked_for_are_those_of_the_finest_scale():
    stages = schedule((800, 600), Options(steps=10))
    assert stages[-1].steps == 10 and all(stage.steps > 10 for stage in stages[:-1])


# Scales


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_as_many_scales_as_are_asked_for_the_finest_ones(scales):
    stages, every = schedule((1600, 1200), Options(scales=scales)), schedule((1600, 1200), Options())
    assert [stage.size for stage in stages] == [stage.size for stage in every][-scales:]


def test_more_scales_than_there_are_are_all():
    assert schedule((300, 200), Options(scales=20)) == schedule((300, 200), Options())


@given(
    st.integers(1, 60).map(lambda n: 16 * n),
    st.integers(1, 60).map(lambda n: 16 * n),
    st.sampled_from([2, 4, 8, 16]),
    st.none() | st.integers(1, 4),
)
def test_sides_of_what_is_tileable_are_multiples(height, width, multiple, scales):
    stages = schedule((height, width), TextureOptions(scales=scales), multiple)
    assert stages[-1].size == (height, width)
    for one in stages:
        assert min(one.size) >= multiple and not any(side % multiple for side in one.size)
        assert one.size[0] <= height and one.size[1] <= width


# Optimizers

MEGA = st.floats(0.01, 120)


@given(MEGA)
def test_adam_moves_what_is_larger_than_a_threshold(megapixels):
    side = round((megapixels * 1e6) ** 0.5)
    found = stage((side, side), "pocket", 10, Options())
    assert found.optimizer == ("adam" if side * side > ADAM_ABOVE else "lbfgs")
    for chosen in ("lbfgs", "adam"):
        assert stage((side, side), "pocket", 10, Options(optimizer=chosen)).optimizer == chosen


@given(MEGA, MEGA)
def test_the_history_is_shorter_and_coarser_the_larger_the_picture(one, other):
    small, large = (
        stage((round(m * 1e3), 1000), "pocket", 10, Options(optimizer="lbfgs")) for m in sorted((one, other))
    )
    assert LONGEST_HISTORY >= small.history >= large.history >= SHORTEST_HISTORY
    assert small.half <= large.half
    assert large.half == (large.size[0] * large.size[1] > HALF_ABOVE)


def test_pictures_in_memory_are_counted_by_history_and_precision():
    full, half, adam = (
        stage(size, "pocket", 10, Options(optimizer=optimizer))
        for size, optimizer in (((100, 100), "lbfgs"), ((4000, 4000), "lbfgs"), ((100, 100), "adam"))
    )
    assert full.pictures == 11 + 2 * full.history and half.pictures == 11 + half.history
    assert adam.history == 0 and adam.pictures < half.pictures
