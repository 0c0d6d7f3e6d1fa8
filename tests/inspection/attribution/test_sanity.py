"""The checks beside a map find out what they are there to find out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.inspection.attribution.edges import edges
from impasto.inspection.attribution.faithfulness import faithfulness, random_order
from impasto.inspection.attribution.imputation import impute
from impasto.inspection.attribution.saliency import saliency
from impasto.inspection.attribution.sanity import randomisation, randomised, similarity
from impasto.networks import Network


def test_a_method_that_does_not_ask_the_network_is_found_out(ways: dict[str, Network], picture: Tensor) -> None:
    network = ways["module"]
    found = randomisation(network, picture, lambda other: edges(other, picture, 1), edges(network, picture, 1))
    assert found.rank_correlation == 1 and found.ssim == 1 and found.verdict.startswith("hardly depends")
    found = randomisation(network, picture, lambda other: saliency(other, picture, 1), saliency(network, picture, 1))
    assert found.rank_correlation is not None and found.rank_correlation < 0.5
    assert found.verdict == "depends on the weights"


def test_the_users_network_keeps_its_weights(ways: dict[str, Network], picture: Tensor) -> None:
    network = ways["module"]
    before = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    one = randomised(network, ["one", "norm"], picture, seed=1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.module.state_dict().items())
    changed = {name for name, tensor in one.module.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed == {"one.weight", "one.bias"}  # this norm's scales are all the same
    again, other = (randomised(network, ["one"], picture, seed).module.one.weight for seed in (1, 2))
    assert torch.equal(again, one.module.one.weight) and not torch.equal(again, other)


@pytest.mark.parametrize("which", ["cascading", "independent"])
def test_weights_are_made_random_part_by_part(which: str, ways: dict[str, Network], picture: Tensor) -> None:
    network = ways["module"]
    found = randomisation(
        network, picture, lambda other: saliency(other, picture, 1), saliency(network, picture, 1), which
    )  # type: ignore[arg-type]
    assert len(found.stages) == 4 and len(found.facts()["stages"]) == 4
    if which == "cascading":
        assert found.stages[0].what == "from the output to head" and found.stages[-1].what == "all weights"
        assert found.rank_correlation == found.stages[-1].rank_correlation


def test_empty_maps_are_compared_with_nothing() -> None:
    assert similarity(torch.zeros(9, 9), torch.rand(9, 9)).rank_correlation is None


class Spot(nn.Module):
    """A classifier that looks at one corner of the picture alone."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([8.0, -8.0]))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :16, :16].mean((1, 2, 3))[:, None] * self.weight


def test_a_map_of_what_the_network_looks_at_beats_chance_and_its_opposite() -> None:
    network = Network("spot", Spot(), mean=(0.5,) * 3, std=(1.0,) * 3, classes=("bright", "dark"))
    picture = torch.rand(1, 3, 56, 56, generator=torch.Generator().manual_seed(0)) * 0.2
    picture[..., :16, :16] += 0.8
    right = torch.zeros(56, 56)
    right[:16, :16] = 1
    good, bad = (faithfulness(network, picture, 0, map) for map in (right, -right))
    chance = random_order(network, picture, 0)
    assert good.deletion < chance.deletion < bad.deletion
    assert good.insertion > chance.insertion > bad.insertion
    assert good.road > 0.1 and abs(chance.road) < 0.05 and bad.road < -0.1


def test_the_same_map_has_the_same_figures_and_an_even_one_those_of_chance(
    ways: dict[str, Network], picture: Tensor
) -> None:
    network = ways["module"]
    map = torch.rand(48, 64)
    assert faithfulness(network, picture, 1, map, seed=3) == faithfulness(network, picture, 1, map, seed=3)
    assert np.isfinite(list(faithfulness(network, picture, 1, torch.zeros(48, 64)).facts().values())).all()


def test_missing_pixels_are_the_mean_of_their_neighbours() -> None:
    image = np.random.default_rng(0).random((3, 12, 15))
    missing = np.random.default_rng(1).random((12, 15)) < 0.6
    filled = impute(image, missing)
    assert np.array_equal(filled[:, ~missing], image[:, ~missing])
    kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 0.0, 2.0], [1.0, 2.0, 1.0]], dtype=torch.float64)[None, None]
    total = F.conv2d(torch.from_numpy(filled)[:, None], kernel, padding=1)[:, 0]
    count = F.conv2d(torch.ones(1, 1, 12, 15, dtype=torch.float64), kernel, padding=1)[0, 0]
    np.testing.assert_allclose(filled[:, missing], (total / count).numpy()[:, missing], atol=1e-9)


def test_a_ramp_is_restored_inside_and_nothing_known_is_gray() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 20), (3, 20, 20))
    missing = np.zeros((20, 20), bool)
    missing[5:15, 5:15] = True
    np.testing.assert_allclose(impute(ramp, missing), ramp, atol=1e-9)
    assert (impute(ramp, np.ones((20, 20), bool)) == 0.5).all()
    assert np.array_equal(impute(ramp, np.zeros((20, 20), bool)), ramp)


def test_batch_norms_of_random_layers_have_the_statistics_of_the_picture(
    ways: dict[str, Network], picture: Tensor
) -> None:
    network = ways["module"]
    one = randomised(network, ["two", "norm"], picture)
    with torch.no_grad():
        inside = one.module.two(F.relu(one.module.one(one.normalise(picture))))
    torch.testing.assert_close(one.module.norm.running_mean, inside.mean((0, 2, 3)))
    torch.testing.assert_close(one.module.norm.running_var, inside.var((0, 2, 3), correction=0))
    kept = randomised(network, ["two"], picture)
    assert torch.equal(kept.module.norm.running_mean, network.module.norm.running_mean)
    assert not one.module.norm._forward_pre_hooks
