"""Folders of pictures, and what pages of them are asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.images import Picture, write


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two kinds in two folders: red ones of stripes, and blue ones of spots."""
    folder = tmp_path_factory.mktemp("pets")
    chance = torch.Generator().manual_seed(0)
    for number in range(9):
        for kind in ("stripes", "spots"):
            (folder / kind).mkdir(exist_ok=True)
            pixels = 0.2 * torch.rand(1, 3, 48, 64, generator=chance)
            if kind == "stripes":
                pixels[:, 0, :, (number % 4) :: 8] = 0.9
            else:
                pixels[:, 2, 4 + number % 3 :: 12, 4::12] = 1.0
            write(folder / kind / f"{number}.png", Picture(pixels))
    return folder


@pytest.fixture
def problems() -> Callable[[Any], list[str]]:
    """What a page says is wrong with itself, and which hosts it asks, gathered from the call on."""

    def gathered(page: Any) -> list[str]:
        found: list[str] = []
        page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: found.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else found.append(asked.url))
        return found

    return gathered


@pytest.fixture
def unnamed() -> Callable[[Any], list[str]]:
    """The controls of a page that a screen reader has no name for."""
    script = """() => [...document.querySelectorAll('button, input, select, canvas[tabindex], a, [role=img]')]
        .filter((one) => !(one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent || '').trim())
        .map((one) => one.outerHTML)"""
    return lambda page: page.evaluate(script)
