"""What every test may ask for."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data: IMPASTO_DATA, or `../shared` beside the repository; without it, a skip."""
    folder = Path(os.environ.get("IMPASTO_DATA") or Path(__file__).parents[1].parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder; set IMPASTO_DATA to one")
    return folder
