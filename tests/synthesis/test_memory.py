"""Memory: what a picture needs is known, tiles are as large as it allows, and what will not fit is refused."""

import re
import subprocess
import sys

import pytest
import torch

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.images.resize import fit
from impasto.networks import Taps
from impasto.synthesis import memory
from impasto.synthesis.memory import GIB, Layout, Needs, lay_out
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.schedule import stage
from impasto.synthesis.tiles import least_side

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    return networks.load("pocket")


@pytest.fixture(scope="module")
def taps(network) -> Taps:
    return Taps(network, (*network.style_taps, *network.content_taps))


@pytest.fixture(autouse=True)
def a_machine_of(monkeypatch):
    """a_machine_of(GiB): so much is free; 20 GiB until it is called, whatever the tests' machine has."""

    def machine(gib: float) -> None:
        monkeypatch.setattr(memory, "free_memory", lambda device: int(gib * GIB))

    machine(20)
    return machine


def layout(taps: Taps, size: tuple[int, int], gib: float = 8.0, tile: int | None = None, **more) -> Layout:
    options = StyleTransferOptions(**{name: more.pop(name) for name in ("optimizer",) if name in more})
    at = stage(size, "pocket", 10, options)
    needs = Needs(at, taps, taps.network.content_taps, **more)
    return lay_out(needs, memory=gib, tile=tile, device=CPU)


def test_a_small_picture_is_worked_whole(taps):
    found = layout(taps, (300, 400))
    assert len(found.tiling.tiles) == 1 and found.chosen.content == "memory" and found.bytes < 2 * GIB


def test_a_tile_that_was_chosen_is_taken(taps):
    for gib in (1.0, 8.0):
        found = layout(taps, (1000, 900), gib, tile=200)
        assert found.tiling.side == 200 and len(found.tiling.tiles) == 25
    assert len(layout(taps, (100, 90), tile=200).tiling.tiles) == 1


def test_a_chosen_tile_smaller_than_the_halo_is_refused(taps):
    with pytest.raises(UsageError, match="--tile 16 is smaller"):
        layout(Taps(taps.network, ["relu4_1"]), (1000, 900), tile=16)


@pytest.mark.parametrize("size", [(1500, 2000), (4000, 3000), (6144, 8192)])
def test_less_memory_makes_smaller_tiles(taps, size):
    sides = []
    for gib in (16.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.5, 1.0):
        found = layout(taps, size, gib)
        sides.append(found.tiling.side or max(size))
    assert sides == sorted(sides, reverse=True) and sides[0] > sides[-1]


@pytest.mark.parametrize("size", [(500, 500), (1500, 2000), (3000, 4000), (6144, 8192)])
def test_what_is_laid_out_stays_within_the_memory_that_may_be_used(taps, size):
    for gib in (8.0, 12.0):
        assert layout(taps, size, gib).bytes <= gib * GIB


def test_memory_beyond_what_is_free_is_not_counted_on(taps, a_machine_of):
    a_machine_of(4)
    assert layout(taps, (1500, 2000), 100).bytes <= 4 * GIB


def test_where_there_is_room_tiles_are_kept_for_the_second_pass(taps):
    size = (3000, 3000)
    tight, ample = (layout(taps, size, gib, tile=512) for gib in (3.0, 12.0))
    assert 1 <= tight.chosen.kept < ample.chosen.kept <= len(ample.tiling.tiles)


def refusal(taps: Taps, size: tuple[int, int], **more) -> str:
    with pytest.raises(ImpastoError) as caught:
        layout(taps, size, **more)
    assert not isinstance(caught.value, UsageError) and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_huge_picture_is_refused_in_one_line_with_its_size_and_network(taps):
    message = refusal(taps, (150_000, 200_000))
    assert "200000×150000" in message and "pocket" in message and "GiB" in message


@pytest.mark.parametrize("size", [(6000, 8000), (8000, 6000), (16000, 16000), (2000, 40000)])
def test_the_size_that_is_offered_fits_and_is_not_timid(taps, a_machine_of, size):
    a_machine_of(1)
    offered = int(re.search(r"--size (\d+)", refusal(taps, size))[1])
    layout(taps, fit(size, offered))
    refusal(taps, fit(size, round(2 * offered)))


def test_a_picture_that_wraps_is_refused_with_a_size_too(taps, a_machine_of):
    a_machine_of(1)
    assert 500 < int(re.search(r"--size (\d+)", refusal(taps, (8000, 8000), wraps=True))[1]) < 4000


def test_a_tile_that_was_chosen_does_not_make_room_for_the_pictures(taps, a_machine_of):
    a_machine_of(1)
    assert "would fit" in refusal(taps, (16000, 16000), tile=512)


@pytest.mark.parametrize("tile", [None, 256])
def test_a_size_that_is_offered_fits_with_the_same_tiles(taps, a_machine_of, tile):
    a_machine_of(1)
    offered = int(re.search(r"--size (\d+)", refusal(taps, (12000, 16000), tile=tile))[1])
    layout(taps, fit((12000, 16000), offered), tile=tile)


@pytest.mark.parametrize("deepest", ["relu1_1", "relu3_1", "relu4_1"])
@pytest.mark.parametrize("reach", [0, 1])
@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("world", [1, 2, 16])
def test_no_tiles_are_proposed_that_are_mostly_halo_and_no_flag_is_blamed_that_nobody_gave(
    network, a_machine_of, monkeypatch, deepest, reach, wraps, world
):
    monkeypatch.setattr(memory, "SIDES", (1024, 512, 64, 16))  # smaller than some halos
    monkeypatch.setattr(memory, "bytes_per_pixel", lambda taps, device: 2000.0)
    monkeypatch.setenv("WORLD_SIZE", str(world))
    monkeypatch.setenv("RANK", "0")
    here = Taps(network, [deepest])
    at = stage((160, 512), "pocket", 10, StyleTransferOptions())
    least, proposed = least_side(here.geometry(), reach), set()
    for gib in (0.08, 0.1, 0.15, 0.2, 0.5, 2.0):
        a_machine_of(gib)
        needs = Needs(at, here, (), reach, wraps)
        found = lay_out(needs, memory=gib, tile=None, device=CPU).chosen.side
        assert least <= found <= 512
        assert needs.tiling(found).size == (160, 512)
        proposed.add(found)
    assert world > 1 or len(proposed) > 1


def test_processes_get_a_tile_each_at_least(taps, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "0")
    assert len(layout(taps, (600, 500)).tiling.tiles) >= 4


def test_a_picture_that_wraps_is_laid_out_as_one(taps):
    for size in ((512, 512), (2048, 2048)):
        found = layout(taps, size, 1.5, wraps=True)
        assert found.tiling.wraps and found.tiling.geometry


# What it takes


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
    assert memory.bytes_per_pixel(Taps(network, ["relu1_1"]), CPU) < memory.bytes_per_pixel(taps, CPU)


def test_bytes_of_content_are_those_of_its_maps(network):
    # relu2_2 has 48 channels at half the size
    assert memory.content_bytes(Taps(network, ["relu2_2"]), ["relu2_2"], CPU) == pytest.approx(48)
    assert memory.content_bytes(Taps(network, ["relu2_2"]), [], CPU) == 0


def test_measuring_leaves_the_network_alone(network, taps):
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    memory.bytes_per_pixel(taps, CPU)
    assert all(torch.equal(value, before[name]) for name, value in network.module.state_dict().items())
    assert all(p.grad is None for p in network.module.parameters())


def test_the_free_memory_of_this_machine_is_plausible(monkeypatch):
    monkeypatch.undo()
    assert 2**20 < memory.free_memory(CPU) < 2**50


SCRIPT = """
import sys
import torch
torch.set_num_threads(1)
from impasto import networks
from impasto.networks import Taps
from impasto.synthesis.calibration import Style, style_terms
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.engine import Descent, Walk
from impasto.synthesis.memory import Needs, lay_out
from impasto.synthesis.objective import Objective
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.schedule import stage

network = networks.load("pocket", padding="replicate")
names = (*network.style_taps, *network.content_taps)
taps, size = Taps(network, names), (1500, 1500)
at = stage(size, "pocket", 3, StyleTransferOptions())
tile = int(sys.argv[1]) or None
needs = Needs(at, taps, network.content_taps)
layout = lay_out(needs, memory=16, tile=tile, device=torch.device("cpu"))
content = torch.rand(1, 3, *size)
terms = style_terms(taps, [Style(lambda: torch.rand(1, 3, 300, 300))], [("gram", 1.0)], network.style_taps)
targets = ContentTargets(Taps(network, network.content_taps), content, layout.tiling, layout.chosen.content)
weights = {tap: 1e-2 / shown for tap, shown in targets.shown.items()}
objective = Objective(taps, layout.tiling, terms, weights, targets, kept=layout.chosen.kept)
descent = Descent.begin(objective, content, Walk(3, history=at.history))
list(descent)
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(layout.bytes, peak, len(layout.tiling.tiles))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("tile", [0, 512])
def test_what_is_expected_is_about_what_is_taken(tile):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tile)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    expected, peak, tiles = map(float, done.stdout.split())
    assert tiles == (9 if tile else 1)
    assert 0.5 < expected / peak < 2
