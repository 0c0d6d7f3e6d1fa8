"""Directions: sized like filters, like layers or not at all, the same from the same seed, and between networks."""

import pytest
import torch
from torch import nn

from impasto.inspection.landscape.directions import between, inner, normalised, random_direction


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(20, 4))
    with torch.no_grad():
        module[0].weight.mul_(torch.tensor([1.0, 10.0, 0.1, 1e-6, 0.0])[:, None, None, None])
    return {name: one.detach() for name, one in module.named_parameters()}


def test_each_filter_of_a_direction_has_the_norm_of_the_weights_own() -> None:
    of = weights()
    found = random_direction(of, normalise="filter", seed=3)
    for name, part in found.items():
        assert torch.allclose(part.flatten(1).norm(dim=1), of[name].flatten(1).norm(dim=1), rtol=1e-5)
    assert not found["0.weight"][4].any()  # a filter of zeros stays one


def test_each_layer_of_a_direction_has_the_norm_of_the_weights_own() -> None:
    of = weights()
    found = random_direction(of, normalise="layer", seed=3)
    for name, part in found.items():
        assert float(part.norm()) == pytest.approx(float(of[name].norm()), rel=1e-5)
    assert not torch.allclose(found["0.weight"].flatten(1).norm(dim=1), of["0.weight"].flatten(1).norm(dim=1))


def test_without_normalisation_a_direction_is_drawn_from_the_standard_normal_distribution() -> None:
    found = random_direction({"w": torch.full((200, 100), 1e-3)}, normalise="none")["w"]
    assert float(found.std()) == pytest.approx(1, abs=0.02)
    assert float(found.mean()) == pytest.approx(0, abs=0.02)


def test_biases_and_norms_do_not_move() -> None:
    assert set(random_direction(weights())) == {"0.weight", "3.weight"}
    assert set(normalised({name: one + 1 for name, one in weights().items()}, weights(), "filter")) == {
        "0.weight",
        "3.weight",
    }


def test_a_seed_and_a_number_are_a_direction_and_no_other_randomness_is_touched() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, again, second, other = (
        random_direction(weights_of_ones(), seed=seed, number=number)["w"]
        for seed, number in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one, again)
    cosine = nn.functional.cosine_similarity
    assert abs(cosine(one.flatten(), second.flatten(), dim=0)) < 0.1
    assert abs(cosine(one.flatten(), other.flatten(), dim=0)) < 0.1


def weights_of_ones() -> dict[str, torch.Tensor]:
    return {"w": torch.ones(64, 64)}


def test_between_two_networks_everything_with_a_fraction_moves() -> None:
    first, second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    second.running_mean += 2  # type: ignore[operator]
    line = between(first.state_dict(), second.state_dict())
    assert set(line) == {"weight", "bias", "running_mean", "running_var"}
    assert torch.equal(line["running_mean"], torch.full((3,), 2.0))


def test_there_is_no_line_between_other_architectures() -> None:
    with pytest.raises(ValueError, match="not of one architecture"):
        between(nn.Linear(2, 3).state_dict(), nn.Linear(3, 2).state_dict())


def test_inner_products_are_over_what_both_have() -> None:
    one, two = random_direction(weights(), seed=1), random_direction(weights(), seed=2)
    expected = sum(float((one[name].double() * two[name].double()).sum()) for name in one)
    assert inner(one, two) == pytest.approx(expected)
