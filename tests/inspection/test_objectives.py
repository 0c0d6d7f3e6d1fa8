"""Objectives: their values, their algebra, and what they print."""

from operator import neg

import pytest
import torch

from impasto import networks
from impasto.inspection import objectives
from impasto.inspection.objectives import Objective, channel, direction, diverse, diversity, layer, like, neuron, style
from impasto.networks import Taps


@pytest.fixture
def found():
    generator = torch.Generator().manual_seed(0)
    return {"a": torch.rand(2, 3, 4, 5, generator=generator), "b": torch.rand(2, 6, generator=generator)}


def test_a_channel_is_the_mean_over_positions_and_pictures(found):
    assert torch.isclose(channel("a", 1).value(found), found["a"][:, 1].mean())


def test_a_channel_of_scores_needs_no_positions(found):
    assert torch.isclose(channel("b", 4).value(found), found["b"][:, 4].mean())


def test_a_neuron_is_the_middle_unless_a_place_is_given(found):
    assert torch.isclose(neuron("a", 0).value(found), found["a"][:, 0, 2, 2].mean())
    assert torch.isclose(neuron("a", 0, 1, 3).value(found), found["a"][:, 0, 1, 3].mean())


def test_the_gradient_of_a_layer_is_its_activation(found):
    maps = found["a"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer("a").value({"a": maps}), maps)
    assert torch.allclose(gradient * maps.numel(), maps)


def test_a_direction_is_the_component_along_it(found):
    vector = torch.tensor([1.0, -2.0, 0.5])
    along = torch.einsum("nchw,c->nhw", found["a"], vector).mean()
    assert torch.isclose(direction("a", vector).value(found), along)


def test_a_cosine_power_prefers_pointing_there_to_being_long():
    vector = torch.tensor([1.0, 0.0])
    there = {"a": torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)}
    longer = {"a": torch.tensor([1.5, 3.0]).view(1, 2, 1, 1)}
    plain, pointed = direction("a", vector), direction("a", vector, cosine=2.0)
    assert plain.value(longer) > plain.value(there)
    assert pointed.value(longer) < pointed.value(there)


def test_objectives_add_scale_and_negate(found):
    one, other = channel("a", 0), channel("b", 1)
    whole = one + 2 * other - 0.5 * layer("a")
    expected = one.value(found) + 2 * other.value(found) - 0.5 * layer("a").value(found)
    assert torch.isclose(whole.value(found), expected)
    assert whole.taps == ("a", "b")
    negative = -one
    assert torch.isclose((-negative).value(found), one.value(found))
    assert torch.isclose(sum([one, other]).value(found), one.value(found) + other.value(found))


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (channel("a", 0), "a:0"),
        (neuron("a", 0), "a:0[middle]"),
        (neuron("a", 0, 1, 3), "a:0[1,3]"),
        (channel("a", 0) + channel("b", 1), "a:0 + b:1"),
        (channel("a", 0) - channel("b", 1), "a:0 − b:1"),
        (2 * channel("a", 0), "2·a:0"),
        (-channel("a", 0), "−a:0"),
        (neg(neg(channel("a", 0))), "a:0"),
        (-2 * channel("a", 0), "−2·a:0"),
        (3 * (channel("a", 0) + channel("b", 1)), "3·(a:0 + b:1)"),
        (channel("a", 0) - (channel("b", 1) + channel("b", 2)), "a:0 − (b:1 + b:2)"),
        (objectives.class_score(3, "golden retriever"), "class(golden retriever)"),
        (diversity("a"), "diversity(a)"),
    ],
)
def test_they_print_what_they_are(objective, words):
    assert str(objective) == words


def test_equal_pictures_are_not_diverse_and_different_ones_are():
    maps = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    same = diversity("a").value({"a": maps.repeat(3, 1, 1, 1)})
    orthogonal = torch.zeros(2, 2, 3, 3)
    orthogonal[0, 0] = orthogonal[1, 1] = 1
    assert torch.isclose(same, torch.tensor(-1.0))
    assert diversity("a").value({"a": orthogonal}).abs() < 1e-6
    assert diversity("a").value({"a": maps}) == 0


def test_the_proportion_of_diversity_does_not_depend_on_units(found):
    plain = diverse(channel("a", 0), "a", 2.0).value(found)
    tenfold = diverse(channel("a", 0), "a", 2.0).value({"a": 10 * found["a"]})
    assert torch.isclose(tenfold, 10 * plain)


def test_a_pictures_own_style_is_the_best_there_is(rng):
    network = networks.load("pocket")
    picture = torch.rand(1, 3, 32, 32, generator=rng)
    wanted = style(network, ["relu1_1", "relu2_1"], picture)
    own = wanted.value(Taps(network, wanted.taps)(picture))
    other = wanted.value(Taps(network, wanted.taps)(torch.rand(1, 3, 32, 32, generator=rng).square()))
    assert own.abs() < 1e-9 and other < -1e-3


def test_what_is_like_the_guide_counts_more_than_what_is_not(rng):
    network = networks.load("pocket")
    guide = torch.rand(1, 3, 32, 32, generator=rng)
    wanted = like(network, "relu2_1", guide)
    there = wanted.value(Taps(network, ["relu2_1"])(guide))
    flat = wanted.value(Taps(network, ["relu2_1"])(torch.full((1, 3, 32, 32), 0.5)))
    assert there > flat


def test_an_objective_of_ones_own_is_one_line():
    mine = Objective("brightness", ("pixels",), lambda found: found["pixels"].mean())
    assert mine.value({"pixels": torch.full((1, 3, 2, 2), 0.25)}) == 0.25
