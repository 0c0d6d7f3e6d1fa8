"""Between two models, exactly at the ends and linear between; strength, and the map of invented detail."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from impasto.errors import UsageError
from impasto.images.resample import imresize
from impasto.translation.architectures import build
from impasto.translation.field import field_of
from impasto.translation.invented import FULL, invented
from impasto.translation.model import TranslationModel
from impasto.translation.realism import between
from impasto.translation.strength import weakened

SMALL = {"kind": "light", "scale": 2, "width": 8, "blocks": 1}


def random_model(seed: int, architecture: dict = SMALL) -> TranslationModel:
    torch.manual_seed(seed)
    module = build(architecture)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    module.eval().requires_grad_(False)
    return TranslationModel(f"m{seed}", module, "superres", architecture.get("scale", 1), architecture)


def smooth(height: int = 40, width: int = 52) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    return (0.5 + 0.3 * torch.stack([torch.sin(x + y), torch.cos(x), torch.sin(y)]))[None]


def test_the_ends_are_the_models_themselves() -> None:
    model, companion = random_model(0), random_model(1)
    assert between(model, companion, 0) is model and between(model, companion, 1) is companion


def test_weights_and_buffers_are_mixed_linearly() -> None:
    unet = {"kind": "unet", "width": 16}
    model, companion = random_model(0, unet), random_model(1, unet)
    for layer in companion.module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean += 1
    mixed = between(model, companion, 0.3)
    first, second, third = (m.module.state_dict() for m in (model, mixed, companion))
    for key, value in second.items():
        if value.is_floating_point():
            assert torch.allclose(value, 0.7 * first[key] + 0.3 * third[key], atol=1e-6)
    assert any("running_mean" in key and not torch.equal(second[key], first[key]) for key in first)
    before = {key: value.clone() for key, value in first.items()}
    assert all(torch.equal(model.module.state_dict()[key], value) for key, value in before.items())
    pixels = smooth()
    assert not torch.equal(mixed.module(pixels), model.module(pixels))


def test_between_two_spectral_norms_every_layer_still_has_norm_1() -> None:
    unet = {"kind": "unet", "width": 16, "norm": "spectral"}
    mixed = between(random_model(0, unet), random_model(1, unet), 0.5)
    layers = [layer for layer in mixed.module.modules() if is_parametrized(layer)]
    assert len(layers) > 8
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "other",
    [
        random_model(1, SMALL | {"width": 16}),
        random_model(1, SMALL | {"scale": 4}),
        random_model(1, {"kind": "unet", "width": 16}),
        replace(random_model(1), task="restore"),
    ],
    ids=["wider", "scale", "kind", "task"],
)
def test_another_architecture_scale_or_task_is_no_companion(other: TranslationModel) -> None:
    with pytest.raises(UsageError, match="no companion of m0"):
        between(random_model(0), other, 0.5)


def test_strength_goes_from_the_bicubic_enlargement_to_the_model() -> None:
    model, pixels = random_model(0), smooth()
    assert weakened(model, 1) is model
    enlarged = imresize(pixels, scale=2)
    nothing = weakened(model, 0).module(pixels)
    inside = (..., slice(4, -4), slice(4, -4))  # at borders, MATLAB mirrors and convolutions repeat
    assert (nothing - enlarged)[inside].abs().max() < 1e-5
    half = weakened(model, 0.5).module(pixels)
    assert (half - (nothing + model.module(pixels)) / 2).abs().max() < 1e-6
    assert field_of(weakened(model, 0.5).module, 2).halo >= 2


def test_what_is_weakened_still_says_that_it_looks_everywhere() -> None:
    class Told(nn.Module):
        everywhere = "it is told"

        def forward(self, x: Tensor) -> Tensor:
            return x

    assert field_of(weakened(TranslationModel("t", Told(), "restore"), 0.5).module).everywhere == "it is told"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_bicubic_enlargement_of_something_smooth_invents_nothing(scale: int) -> None:
    found = invented(imresize(smooth(), scale=scale), scale=scale)
    assert found.mean < 0.01 and found.energy.shape[-2:] == (40 * scale, 52 * scale)


def test_detail_finer_than_the_input_is_mapped_where_it_is() -> None:
    result = imresize(smooth(), scale=2)
    checkers = 0.2 * ((torch.arange(30)[:, None] + torch.arange(30)) % 2 * 2.0 - 1)
    result[..., 20:50, 30:60] += checkers
    found = invented(result, scale=2)
    there = found.energy[..., 24:46, 34:56]
    elsewhere = found.energy.clone()
    elsewhere[..., 10:60, 20:70] = 0
    assert there.mean() == pytest.approx(0.2, rel=0.1) and elsewhere.max() < 0.02
    assert found.mean == pytest.approx(float(found.energy.square().mean().sqrt()))
    drawn = found.picture()
    assert drawn.shape == result.shape and drawn.min() >= 0 and drawn.max() <= 1
    bright = drawn.amax(1)[0]
    assert there.min() > FULL and bright[24:46, 34:56].min() > 0.9 > bright[:10].max()


def test_beside_a_faithful_result_it_is_the_difference_that_counts() -> None:
    faithful = imresize(smooth(), scale=2)
    result = faithful.clone()
    result[..., 20:50, 30:60] += 0.1  # smooth: by the input alone nobody would see it
    found = invented(result, scale=2, faithful=faithful)
    assert found.energy[0, 0, 35, 45] == pytest.approx(0.1, rel=1e-3) and found.energy[0, 0, 5, 5] == 0


def test_the_map_is_the_same_in_tiles_and_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    result = imresize(smooth(), scale=4) + 0.05 * torch.rand(1, 3, 160, 208, generator=torch.Generator().manual_seed(0))
    whole = invented(result, scale=4)
    monkeypatch.setattr("impasto.translation.invented.SIDE", 48)
    assert (invented(result, scale=4).energy - whole.energy).abs().max() < 1e-6
    monkeypatch.setattr("impasto.translation.invented.LONGEST", 70)
    small = invented(result, scale=4)
    assert small.energy.shape[-2:] == (54, 70) and small.over.shape[-2:] == (54, 70)
    assert small.mean == pytest.approx(whole.mean, rel=0.02)
