"""Checkpoints of other projects are recognised, checked, and run like our own."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from impasto.errors import UsageError
from impasto.translation.apply import apply
from impasto.translation.field import field_of
from impasto.translation.model import load, save

spandrel = pytest.importorskip("spandrel", reason="the extra spandrel is not installed")


def compact(channels: int = 3, scale: int = 2) -> nn.Module:
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact as Compact

    torch.manual_seed(0)
    return Compact(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=scale)


def rrdb() -> nn.Module:
    from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet

    torch.manual_seed(0)
    return RRDBNet(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=4)


def checkpoint(module: nn.Module, path: Path, wrapped: str = "") -> Path:
    state = {key: value.contiguous() for key, value in module.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({wrapped: state} if wrapped else state, path)
    return path


@pytest.mark.parametrize("name", ["x2.safetensors", "x2.pth"])
def test_a_compact_network_is_loaded_with_all_it_tells(tmp_path: Path, name: str) -> None:
    module = compact()
    model = load(checkpoint(module, tmp_path / name, "params_ema"))
    assert (model.name, model.task, model.scale) == ("x2", "superres", 2)
    assert "Compact" in model.card["about"] and model.card["half"] is True and len(model.sha256) == 64
    assert model.architecture == {} and not model.module.training
    pixels = torch.rand(1, 3, 37, 45)
    with torch.no_grad():
        expected = module.eval()(pixels).clamp(0, 1)
    assert (apply(model, pixels) - expected).abs().max() < 1e-6
    assert field_of(model.module, 2).everywhere == ""
    assert (apply(model, pixels, tile=16) - expected).abs().max() < 1e-5
    with pytest.raises(UsageError, match="another project"):
        save(model, tmp_path / "again.safetensors")


def test_an_esrgan_is_tiled_exactly_and_runs_on_a_single_pixel(tmp_path: Path) -> None:
    model = load(checkpoint(rrdb(), tmp_path / "esrgan.pth"))
    assert model.scale == 4 and model.task == "superres"
    pixels = torch.rand(1, 3, 50, 60)
    assert (apply(model, pixels, tile=24) - apply(model, pixels)).abs().max() < 1e-5
    assert apply(model, torch.rand(1, 3, 1, 1)).shape == (1, 3, 4, 4)


def test_windowed_attention_is_tiled_on_the_grid_of_its_windows(tmp_path: Path) -> None:
    from spandrel.architectures.SwinIR.__arch.SwinIR import SwinIR

    torch.manual_seed(0)
    how = {"upscale": 2, "upsampler": "pixelshuffledirect", "img_size": 16, "window_size": 8, "mlp_ratio": 2}
    module = SwinIR(depths=[2], embed_dim=6, num_heads=[2], resi_connection="1conv", **how)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model = load(checkpoint(module, tmp_path / "swinir.safetensors"))
    assert field_of(model.module, 2).step == 8 and field_of(model.module, 2).everywhere == ""
    pixels = torch.rand(1, 3, 40, 133)
    assert (apply(model, pixels, tile=24) - apply(model, pixels)).abs().max() < 1e-5


def test_a_gray_network_takes_the_channels_one_by_one(tmp_path: Path) -> None:
    module = compact(channels=1)
    model = load(checkpoint(module, tmp_path / "gray.safetensors"))
    pixels = torch.rand(1, 3, 20, 20)
    with torch.no_grad():
        expected = torch.cat([module.eval()(channel) for channel in pixels.split(1, dim=1)], 1).clamp(0, 1)
    assert (apply(model, pixels) - expected).abs().max() < 1e-6


def test_a_network_that_keeps_the_size_restores(tmp_path: Path) -> None:
    assert load(checkpoint(compact(scale=1), tmp_path / "denoise.safetensors")).task == "restore"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pth", b"no weights at all", "no readable file of weights"),
        ("a.safetensors", b"\x00" * 40, "no readable file of weights"),
        ("a.txt", b"hello", "is no model"),
    ],
)
def test_what_is_no_checkpoint_is_said_in_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as told:
        load(path)
    assert "\n" not in str(told.value)


def test_weights_of_no_known_network_are_refused(tmp_path: Path) -> None:
    path = checkpoint(nn.Linear(3, 3), tmp_path / "linear.safetensors")
    with pytest.raises(UsageError, match="no network that spandrel knows"):
        load(path)


def test_weights_that_do_not_fit_their_network_are_refused(tmp_path: Path) -> None:
    state = {key: value.contiguous() for key, value in compact().state_dict().items()}
    state["body.2.weight"] = torch.zeros(5, 5, 3, 3)
    save_file(state, tmp_path / "broken.safetensors")
    with pytest.raises(UsageError, match="do not fit"):
        load(tmp_path / "broken.safetensors")


class Payload:
    """A pickle that would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_nothing_that_a_pickle_holds_is_run(tmp_path: Path) -> None:
    torch.save({"params": Payload(tmp_path / "owned")}, tmp_path / "evil.pth")
    with pytest.raises(UsageError, match="no readable file of weights"):
        load(tmp_path / "evil.pth")
    assert not (tmp_path / "owned").exists()


def test_without_spandrel_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint(compact(), tmp_path / "x2.safetensors")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UsageError, match=r"uv pip install 'impasto\[spandrel\]'"):
        load(path)
