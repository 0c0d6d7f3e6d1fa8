"""What a classifier takes a picture for."""

import pytest
import torch
from torch import nn

from impasto import networks
from impasto.errors import UsageError
from impasto.inspection.predictions import prediction, top_classes
from impasto.networks import Network


class Means(nn.Module):
    """Scores are the means of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x.mean((2, 3))


NETWORK = Network("means", Means(), mean=(0.0,) * 3, std=(1.0,) * 3, classes=("red", "green", "blue"))
PICTURE = torch.tensor([0.2, 0.9, 0.4]).view(1, 3, 1, 1).expand(1, 3, 8, 8)


def test_the_most_probable_come_first_with_their_names() -> None:
    found = top_classes(NETWORK, PICTURE, 2)
    assert [one.name for one in found] == ["green", "blue"] and found[0].index == 1
    assert found[0].score == pytest.approx(1.8) and str(found[0]) == "green 61.9 %"
    assert sum(one.probability for one in top_classes(NETWORK, PICTURE, 10)) == pytest.approx(1)
    assert prediction(NETWORK, PICTURE, 0).name == "red"
    assert NETWORK.module.scale.requires_grad and NETWORK.module.training


def test_a_network_that_is_no_classifier_is_told_so() -> None:
    with pytest.raises(UsageError, match="pocket is no classifier: choose one"):
        top_classes(networks.load("pocket"), torch.rand(1, 3, 32, 32))
