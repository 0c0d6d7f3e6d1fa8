"""pocket: small, in the package, and it needs nothing from anywhere."""

import subprocess
import sys

import torch

from impasto.networks import Taps, load
from impasto.networks.pocket import WIDTHS, architecture, packaged

# No socket can be opened, no package for other networks imported.
ALONE = """
import socket, sys
def refuse(*arguments, **settings): raise AssertionError("the network was tried")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
for name in ("torchvision", "timm", "httpcore"): sys.modules[name] = None
import torch
from impasto.networks import Taps, load
print({name: tuple(f.shape) for name, f in Taps(load(), ["relu1_1", "relu4_1"])(torch.rand(1, 3, 32, 48)).items()})
"""


def test_its_file_is_small_and_in_the_package() -> None:
    assert packaged().is_file() and packaged().stat().st_size <= 2_000_000


def test_it_is_the_default_and_has_the_taps_of_a_vgg() -> None:
    network = load()
    assert network.name == "pocket"
    names = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
    found = Taps(network, names)(torch.rand(1, 3, 64, 96))
    sizes = [(1, group[0], 64 >> n, 96 >> n) for n, group in enumerate(WIDTHS)]
    assert [tuple(f.shape) for f in found.values()] == sizes


def test_it_needs_no_connection_and_no_torchvision() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'relu4_1': (1, 128, 4, 6)" in done.stdout


def test_it_is_trained() -> None:
    """Its layers answer to what is in a picture: different pictures, different statistics, and none is dead."""
    network = load()
    flat = Taps(network, network.style_taps)(torch.full((1, 3, 64, 64), 0.5))
    noise = Taps(network, network.style_taps)(torch.rand(1, 3, 64, 64))
    for name, found in noise.items():
        assert found.isfinite().all()
        assert (found.amax((0, 2, 3)) > 0).float().mean() > 0.5, f"most channels of {name} live"
        assert not torch.allclose(found.mean((2, 3)), flat[name].mean((2, 3)), rtol=0.1)


def test_every_pixel_gets_a_gradient() -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    Taps(load(), ["relu4_1"])(image)["relu4_1"].sum().backward()
    assert image.grad is not None and (image.grad != 0).all()


def test_other_widths_make_other_networks() -> None:
    layers = [tuple(p.shape) for p in architecture(((4,), (8,))).parameters()]
    assert layers == [(4, 3, 3, 3), (4,), (8, 4, 3, 3), (8,)]
