"""Precision: what is asked for is what is computed with."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from impasto.training.precision import fabric_for

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16), ("16-mixed", torch.float16)],
)
def test_activations_are_in_the_precision_that_was_asked_for(precision: str, dtype: torch.dtype) -> None:
    fabric = fabric_for(CPU, precision)  # type: ignore[arg-type]
    layer = nn.Linear(4, 4)
    with fabric.autocast():
        assert layer(torch.rand(2, 4)).dtype == dtype
    assert layer.weight.dtype == torch.float32
    assert fabric.device == CPU


def test_only_half_precision_scales_its_losses() -> None:
    scalers = {
        name: fabric_for(CPU, name).strategy.precision.state_dict()  # type: ignore[arg-type]
        for name in ("32-true", "bf16-mixed", "16-mixed")
    }
    assert scalers["32-true"] == scalers["bf16-mixed"] == {}
    assert scalers["16-mixed"]["scale"] >= 1024


def test_a_gradient_that_half_precision_would_lose_is_kept() -> None:
    def gradient(scaled: bool) -> torch.Tensor:
        weight = nn.Parameter(torch.ones(16))
        fabric = fabric_for(CPU, "16-mixed")
        with fabric.autocast():
            loss = ((weight.half() * 1e-4) * 1e-4).float().mean()  # its gradient of 6e-10 is nothing in float16
        if not scaled:
            loss.backward()
            return weight.grad  # type: ignore[return-value]
        fabric.backward(loss)
        return weight.grad / fabric.strategy.precision.scaler.get_scale()  # type: ignore[operator]

    assert gradient(scaled=False).abs().max() == 0
    assert torch.allclose(gradient(scaled=True), torch.tensor(1e-8 / 16), rtol=0.05, atol=0)


def test_fabric_says_nothing() -> None:
    code = (
        "import torch; from impasto.training.precision import fabric_for; fabric_for(torch.device('cpu'), 'bf16-mixed')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("index", [None, 0])
def test_the_device_is_the_one_that_was_named(index: int | None) -> None:
    device = torch.device("cuda", index) if index is not None else torch.device("cuda")
    assert fabric_for(device, "16-mixed").device == torch.device("cuda", 0)
