"""The schedule: from coarse to fine, and the big network where its work is worth it."""

import pytest

from impasto.synthesis.options import StyleTransferOptions as Options
from impasto.synthesis.schedule import schedule

SIZES = pytest.mark.parametrize("size", [(16, 16), (60, 90), (512, 384), (2000, 700)])
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
    assert all(stage.steps > 0 and stage.history > 0 and stage.cost > 0 for stage in stages)
    for stage in stages:
        assert stage.size[0] * size[1] == pytest.approx(stage.size[1] * size[0], rel=0.1)


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
