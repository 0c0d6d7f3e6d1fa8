"""Memory: reading, writing and recolouring a picture takes little beside its own tensors, however large it is.

Measured in a fresh process by the most memory that was ever resident (VmHWM).
"""

import subprocess
import sys
from pathlib import Path

import pytest
import pyvips
import torch

from impasto.images import Picture, write

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is asked of Linux")

# 12 megapixels are 144 MB of float32 colours and 48 MB of alpha: a second copy of the colours would be seen.
WIDTH, HEIGHT = 4000, 3000
BOUND = 160 * 10**6

# Does one thing to something small, so that all is loaded, then to something large, and prints what the second
# took beside the tensors that it gave.
MEASURE = """
import re, sys
from pathlib import Path
import torch
from impasto.images import Picture, colour, read, read_mask, write

torch.set_num_threads(1)
work, folder, name, *size = sys.argv[1:]

def picture(height, width):
    colours = torch.linspace(0.2, 0.8, width).expand(1, 3, height, width).contiguous()
    return Picture(colours, torch.ones(1, 1, height, width), read(f"{folder}/p3.png").icc, depth=16)

def resident(field):
    return int(re.search(field + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

def measure(function, *arguments):
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    result = function(*arguments)
    peak = resident("VmHWM") - before
    given = (result.pixels, result.alpha) if isinstance(result, Picture) else (result,)
    return peak - sum(tensor.nbytes for tensor in given if tensor is not None)

for height, width in (64, 64), map(int, size):
    where = f"{folder}/{'small' if height == 64 else 'large'}{name}"
    if work == "read":
        took = measure(read, where)
    elif work == "read_mask":
        took = measure(read_mask, where)
    elif work == "write":
        subject = picture(height, width)
        took = measure(write, where, subject)
    else:
        pixels = picture(height, width).pixels
        took = measure(getattr(colour, work), pixels, pixels)
print(took)
"""


def took_beside(work: str, folder: Path, name: str = "") -> int:
    """The bytes that a piece of work needs beside its result."""
    write(folder / "p3.png", picture(64, 64))
    command = [sys.executable, "-c", MEASURE, work, str(folder), name, str(HEIGHT), str(WIDTH)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def picture(height: int, width: int) -> Picture:
    colours = torch.linspace(0.2, 0.8, width).expand(1, 3, height, width).contiguous()
    p3 = bytes(pyvips.Image.profile_load("p3"))
    return Picture(colours, alpha=torch.ones(1, 1, height, width), icc=p3, depth=16, recipe="{}")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_reading_takes_little_beside_the_picture(tmp_path, suffix):
    write(tmp_path / f"small{suffix}", picture(64, 64))
    write(tmp_path / f"large{suffix}", picture(HEIGHT, WIDTH))
    assert took_beside("read", tmp_path, suffix) < BOUND


@pytest.mark.slow
def test_a_mask_takes_little_beside_its_picture(tmp_path):
    write(tmp_path / "small.png", picture(64, 64))
    write(tmp_path / "large.png", picture(HEIGHT, WIDTH))
    whole_picture = 4 * 4 * HEIGHT * WIDTH
    assert took_beside("read_mask", tmp_path, ".png") < whole_picture + BOUND


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_writing_takes_little_beside_the_picture(tmp_path, suffix):
    coefficients = 12 * HEIGHT * WIDTH if suffix == ".jpg" else 0  # libjpeg's, up to 16 megapixels
    assert took_beside("write", tmp_path, suffix) < BOUND + coefficients


@pytest.mark.slow
@pytest.mark.parametrize("work", ["keep_colours", "match_colours", "match_histograms"])
def test_changing_colours_takes_little_beside_the_result(tmp_path, work):
    assert took_beside(work, tmp_path) < BOUND
