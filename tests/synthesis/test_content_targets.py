"""Content targets: the same wherever they wait, and nothing stays behind."""

import gc
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from impasto import networks
from impasto.losses.content import content_distance
from impasto.networks import Taps
from impasto.synthesis import content_targets
from impasto.synthesis.content_targets import ContentTargets, place_for
from impasto.synthesis.objective import Objective
from impasto.synthesis.tiles import tiling, whole

NAMES = ("relu2_2", "relu3_1")
PLACES = ("memory", "disk", "nowhere")
SIZE = (90, 73)


@pytest.fixture(scope="module")
def taps() -> Taps:
    return Taps(networks.load("pocket", padding="replicate"), NAMES)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def scene(seed: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    coarse = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("side", [None, 40])
def test_memory_disk_and_nowhere_give_the_same_bits(taps, side):
    tiles = tiling(SIZE, side, taps.geometry())
    points = []
    for place in PLACES:
        targets = ContentTargets(taps, scene(1), tiles, place)
        weights = {tap: 1 / targets.shown[tap] for tap in NAMES}
        points.append(Objective(taps, tiles, content=weights, targets=targets)(scene(2)))
    assert all(point.loss == points[0].loss and torch.equal(point.gradient, points[0].gradient) for point in points)


@pytest.mark.parametrize("place", PLACES)
def test_tiles_hold_the_activations_at_their_own_positions(taps, place):
    tiles, expected = tiling(SIZE, 40, taps.geometry()), taps(scene(1))
    targets = ContentTargets(taps, scene(1), tiles, place)
    for tap, of in taps.geometry().items():
        covered = torch.zeros(expected[tap].shape[2:])
        for index, tile in enumerate(tiles.tiles):
            found = targets.of(index)[tap]
            rows, columns = (
                slice(core[0] // of.stride, core[0] // of.stride + length)
                for core, length in zip((tile.rows, tile.columns), found.shape[2:], strict=True)
            )
            torch.testing.assert_close(found, expected[tap][:, :, rows, columns], rtol=1e-4, atol=1e-5)
            covered[rows, columns] += 1
        assert (covered == 1).all()


@pytest.mark.parametrize("place", PLACES)
def test_they_can_be_laid_out_for_other_tiles(taps, place):
    targets = ContentTargets(taps, scene(1), whole(SIZE), place)
    tiles = tiling(SIZE, 32, taps.geometry())
    targets.lay(tiles)
    fresh = ContentTargets(taps, scene(1), tiles)
    for index in range(len(tiles.tiles)):
        for tap in NAMES:
            assert torch.equal(targets.of(index)[tap], fresh.of(index)[tap])


@pytest.mark.parametrize("side", [None, 40])
def test_what_is_shown_is_the_distance_of_a_picture_that_shows_nothing(taps, side):
    shown = ContentTargets(taps, scene(1), tiling(SIZE, side, taps.geometry())).shown
    for tap, features in taps(scene(1)).items():
        blank = features.mean(dim=(2, 3), keepdim=True)
        assert shown[tap] == pytest.approx(float(content_distance(features, blank)), rel=1e-4)


@pytest.mark.parametrize("gray", [0.0, 0.5])
def test_a_blank_photograph_does_not_weigh_endlessly(taps, gray):
    blank = torch.full((1, 3, *SIZE), gray)
    for tap, shown in ContentTargets(taps, blank, whole(SIZE)).shown.items():
        assert shown >= 1e-3 * 0.99 * float(taps(blank)[tap].square().sum()) and shown > 0


def test_what_waits_on_disk_has_no_name_there(taps, folder):
    targets = ContentTargets(taps, scene(1), tiling(SIZE, 40, taps.geometry()), "disk")
    assert list(folder.iterdir()) == []
    targets.lay(whole(SIZE))
    assert targets.of(0).keys() == set(NAMES) and list(folder.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_disk_is_cleared_when_they_are_no_longer_needed(taps, folder):
    def on_disk() -> list[int]:
        """Bytes of the open files of that folder."""
        found = []
        for one in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if str(folder) in os.readlink(one):
                    found.append(one.stat().st_size)
        return found

    targets = ContentTargets(taps, scene(1), tiling(SIZE, 40, taps.geometry()), "disk")
    expected = sum(4 * f.numel() for f in taps(scene(1)).values())
    assert on_disk() == [expected]
    targets.lay(tiling(SIZE, 32, taps.geometry()))
    assert on_disk() == [expected], "other tiles take the place of the first ones"
    del targets
    gc.collect()
    assert on_disk() == []


SCRIPT = """
import os, resource, signal, sys, tempfile
import torch
from impasto import networks
from impasto.errors import ImpastoError
from impasto.networks import Taps
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.tiles import whole
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
tempfile.tempdir = sys.argv[1]
taps = Taps(networks.load("pocket"), ["relu2_2"])
small = ContentTargets(taps, torch.rand(1, 3, 32, 32), whole((32, 32)), "disk")
try:
    ContentTargets(taps, torch.rand(1, 3, 128, 128), whole((128, 128)), "disk")
except ImpastoError as error:
    print(error, flush=True)
assert small.of(0)["relu2_2"].shape == (1, 48, 16, 16)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_full_disk_is_one_clear_line_and_nothing_stays_even_of_a_process_that_is_killed(folder):
    done = subprocess.run([sys.executable, "-c", SCRIPT, folder], capture_output=True, text=True, timeout=60)
    assert done.returncode < 0 and not done.stderr, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"the content's activations do not fit on the disk at {folder}: ") and "TMPDIR" in line
    assert list(folder.iterdir()) == []


def test_they_wait_in_memory_else_on_a_disk_with_room_else_nowhere(monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(content_targets.shutil, "disk_usage", lambda path: Usage)
    assert [place_for(size, 100) for size in (100, 101, 499, 500, 10**9)] == [
        "memory",
        "disk",
        "disk",
        "nowhere",
        "nowhere",
    ]
