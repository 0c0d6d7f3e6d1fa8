"""What every test may ask for."""

import os
from pathlib import Path

# Two test processes on two cores: each with one thread, for OpenMP's threads would wait for each other by turning round
# and round. It is read when torch is imported, so it stands before everything that imports it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data: IMPASTO_DATA, or `../shared` beside the repository; without it, a skip."""
    folder = Path(os.environ.get("IMPASTO_DATA") or Path(__file__).parents[1].parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder; set IMPASTO_DATA to one")
    return folder
