"""Odd images: 258 valid, strange and broken files; each loads correctly or is refused in one line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.errors import UsageError
from impasto.images import read

pytestmark = pytest.mark.realdata

# Reads every file of a folder in one process that may take 4 GB of addresses and a minute of its processor.
READ_ALL = """
import json, resource, sys, time
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
import torch
torch.set_num_threads(1)
from impasto.errors import UsageError
from impasto.images import read
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(path for path in Path(sys.argv[1]).rglob("*") if path.is_file()):
    began = time.perf_counter()
    try:
        picture = read(path)
        found = [*picture.pixels.shape, bool(((picture.pixels >= 0) & (picture.pixels <= 1)).all())]
    except UsageError as error:
        found = str(error)
    print(json.dumps([str(path), found, time.perf_counter() - began]))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
print(json.dumps(grown))
"""


@pytest.fixture(scope="module")
def odd(shared: Path) -> Path:
    folder = shared / "data" / "odd-images"
    if not folder.is_dir():
        pytest.skip(f"no odd images: {folder} is not a folder")
    return folder


def test_every_file_loads_or_is_refused_in_one_line(odd):
    done = subprocess.run([sys.executable, "-c", READ_ALL, str(odd)], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    *results, grown = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == sum(path.is_file() for path in odd.rglob("*"))
    for path, found, seconds in results:
        assert seconds < 5, path
        if isinstance(found, str):
            assert path in found and "\n" not in found
        else:
            assert found[:2] == [1, 3] and found[-1], path
    assert grown < 512 * 1024, f"reading small files took {grown} kB"


def test_every_sound_png_of_the_suite_is_what_pillow_makes_of_it(odd):
    paths = [path for path in sorted((odd / "pngsuite").glob("*.png")) if not path.name.startswith("x")]
    assert len(paths) > 150
    for path in paths:
        picture = read(path)
        colours, alpha = decoded_by_pillow(path)
        found = picture.pixels[0].permute(1, 2, 0).numpy()
        assert found.shape == colours.shape, path.name
        assert np.abs(found - colours).max() <= 1 / 255 + 1e-6, path.name
        assert (picture.alpha is None) == (alpha is None), path.name
        if alpha is not None:
            assert np.abs(picture.alpha[0, 0].numpy() - alpha).max() <= 1 / 255 + 1e-6, path.name
        assert picture.depth == (16 if path.read_bytes()[24] == 16 else 8), path.name


def decoded_by_pillow(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and alpha in [0, 1]. Pillow applies no gAMA chunk either.

    Two things it does not do are done here: 16-bit gray it would clip to 8 bits, and the transparent colour
    of a gray or a 16-bit picture it compares with samples that it has scaled already.
    """
    image = Image.open(path)
    bits, key = path.read_bytes()[24], image.info.get("transparency")
    gray = image.mode in ("1", "L", "I;16", "I")
    if image.mode.startswith("I"):
        colours = np.repeat(np.asarray(image)[..., None] / 65535, 3, axis=-1)
    else:
        colours = np.asarray(image.convert("RGBA"))[..., :3] / 255
    if key is None or image.mode == "P":
        alpha = np.asarray(image.convert("RGBA"))[..., 3] / 255 if image.has_transparency_data else None
    else:
        key = np.array([key] * 3 if gray else key) / (2**bits - 1)
        alpha = (np.abs(colours - key).max(axis=-1) > 0.5 / 255).astype(float)
    return colours, alpha


def test_every_corrupt_png_of_the_suite_is_refused(odd):
    paths = sorted((odd / "pngsuite").glob("x*.png"))
    assert len(paths) >= 14
    for path in paths:
        with pytest.raises(UsageError):
            read(path)


def test_fuzzed_files_that_load_are_what_pillow_makes_of_them(odd):
    for path in [*sorted((odd / "png").iterdir()), *sorted((odd / "jpeg").iterdir())]:
        try:
            picture = read(path)
        except UsageError:
            continue
        try:
            image = Image.open(path)
            expected = np.asarray(image.convert("RGB")).astype(float) / 255
        except (OSError, SyntaxError, ValueError):
            continue
        if image.mode.startswith("I") or picture.depth == 16:
            continue
        found = picture.pixels[0].permute(1, 2, 0).numpy()
        assert found.shape == expected.shape, path.name
        assert np.abs(found - expected).mean() <= 2 / 255, path.name
