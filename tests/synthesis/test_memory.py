"""Memory: what a picture needs is known, and what will not fit is refused with a size that will."""

import re

import pytest
import torch

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.images.resize import fit
from impasto.networks import Taps
from impasto.synthesis import memory

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    return networks.load("pocket")


@pytest.fixture(scope="module")
def taps(network) -> Taps:
    return Taps(network, (*network.style_taps, *network.content_taps))


def refusal(taps: Taps, size: tuple[int, int]) -> str:
    with pytest.raises(ImpastoError) as caught:
        memory.require_memory(taps, size, 20, CPU)
    assert not isinstance(caught.value, UsageError) and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_small_picture_is_let_pass(taps):
    memory.require_memory(taps, (64, 64), 20, CPU)


def test_a_huge_picture_is_refused_in_one_line_with_its_size_and_network(taps):
    message = refusal(taps, (150_000, 200_000))
    assert "200000×150000" in message and "pocket" in message and "GiB" in message


@pytest.mark.parametrize("size", [(3000, 4000), (4000, 3000), (9000, 9000), (500, 20000)])
def test_the_size_that_is_offered_fits_and_is_not_timid(taps, monkeypatch, size):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**30)
    offered = int(re.search(r"--size (\d+)", refusal(taps, size))[1])
    memory.require_memory(taps, fit(size, offered), 20, CPU)
    refusal(taps, fit(size, round(1.2 * offered)))


def test_a_longer_history_needs_more(taps, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**28)
    offered = [
        int(re.search(r"--size (\d+)", message)[1])
        for history in (5, 100)
        for message in [_refusal_with(taps, history)]
    ]
    assert offered[1] < offered[0]


def _refusal_with(taps: Taps, history: int) -> str:
    with pytest.raises(ImpastoError) as caught:
        memory.require_memory(taps, (5000, 5000), history, CPU)
    return str(caught.value)


def test_bytes_for_each_pixel_are_at_least_those_of_the_first_map_and_not_absurd(taps):
    # relu1_1 alone has 16 float32 channels at full size
    assert 16 * 4 <= memory.bytes_per_pixel(taps, CPU) < 16 * 4 * 100


def test_bytes_for_each_pixel_hardly_depend_on_the_picture_measured(taps, monkeypatch):
    each = []
    for side in (64, 128, 256):
        monkeypatch.setattr(memory, "PROBE", side)
        each.append(memory.bytes_per_pixel(taps, CPU))
    assert max(each) / min(each) < 1.2


def test_deeper_taps_need_more_memory(network, taps):
    shallow = Taps(network, ["relu1_1"])
    assert memory.bytes_per_pixel(shallow, CPU) < memory.bytes_per_pixel(taps, CPU)


def test_measuring_leaves_the_network_alone(network, taps):
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    memory.bytes_per_pixel(taps, CPU)
    assert all(torch.equal(value, before[name]) for name, value in network.module.state_dict().items())
    assert all(p.grad is None for p in network.module.parameters())


def test_the_free_memory_of_this_machine_is_plausible():
    assert 2**20 < memory.free_memory(CPU) < 2**50
