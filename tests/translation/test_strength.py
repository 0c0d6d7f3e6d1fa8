"""What a weakened model looks at and takes is known by the model, which is measured once."""

import copy
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn

from impasto.translation import field as measuring
from impasto.translation.apply import apply
from impasto.translation.architectures import build
from impasto.translation.field import field_of
from impasto.translation.footprint import footprint
from impasto.translation.model import TranslationModel
from impasto.translation.strength import Weakened, weakened


class Plain(nn.Module):
    """A module that does what another does, and knows nothing of itself."""

    def __init__(self, other: nn.Module) -> None:
        super().__init__()
        self.other = other

    def forward(self, image: Tensor) -> Tensor:
        return self.other(image)


def model(scale: int = 2, **settings: int) -> TranslationModel:
    torch.manual_seed(0)
    module = build({"kind": "light", "scale": scale, "width": 8, "blocks": 1, **settings})
    return TranslationModel("test", module.eval().requires_grad_(False), "restore", scale)


def test_the_model_is_measured_once_for_all_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    network, measure = model(), Mock(wraps=measuring._measure)
    monkeypatch.setattr(measuring, "_measure", measure)
    runs: list[tuple[int, ...]] = []
    for strength in (0.2, 0.5, 0.5):
        apply(weakened(network, strength), torch.rand(1, 3, 140, 130), tile=64)
        one = weakened(network, strength).module
        one.register_forward_hook(lambda _, given, made: runs.append(tuple(given[0].shape)))
        field_of(one, 2), footprint(one)
    assert measure.call_count == 1 and not runs


@pytest.mark.parametrize("settings", [{"scale": 2}, {"scale": 4}, {"scale": 1, "fold": 2}], ids=str)
def test_what_is_derived_is_what_would_be_measured(settings: dict[str, int]) -> None:
    network = model(**settings)
    derived = Weakened(network.module, network.scale, 0.5)
    measured = Plain(copy.deepcopy(derived))
    assert field_of(derived, network.scale) == field_of(measured, network.scale)
    assert 1 <= footprint(derived).linear / footprint(measured).linear < 1.5


def test_the_enlargement_looks_at_two_pixels() -> None:
    one = Weakened(nn.Upsample(scale_factor=2), 2, 0.5)
    assert field_of(one, 2).halo == 2 == field_of(Plain(one), 2).halo
