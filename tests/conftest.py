"""What every test may ask for."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session")  # one for all: a second sync_playwright() in the same process is refused
def browser() -> Iterator[Any]:
    """The system's Chromium; without it, a skip."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser with")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium to show the pages in: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Waits for another process: ``wait_until(condition, log)``; what is in ``log``, a file, is told when it never came."""

    def waiting(reached: Callable[[], bool], said: Path | None = None, *, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds  # long: of a machine that does other things too
        while not reached():
            if time.monotonic() > deadline:
                pytest.fail(f"it never came in {seconds:g} seconds: {said.read_text() if said else ''}")
            time.sleep(0.002)

    return waiting


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Path]:
    """Writes a model from picture to picture with random weights: ``write_model(path, architecture, task, seed=…)``.

    With ``noise=0``, one that enlarges bicubically or leaves the picture as it is; what else is given is its card.
    """
    import torch

    from impasto.translation.architectures import build
    from impasto.translation.model import TranslationModel, save

    def written(
        path: Path, architecture: dict[str, Any], task: str, *, seed: int = 0, noise: float = 0.03, **card: Any
    ) -> Path:
        torch.manual_seed(seed)
        module = build(architecture)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                parameter.add_(noise * torch.randn_like(parameter))
                if noise == 0 and ("tail" in name or "last" in name):
                    parameter.zero_()
        save(TranslationModel(path.stem, module, task, architecture.get("scale", 1), architecture, card=card), path)
        return path

    return written


@pytest.fixture
def shipped(
    write_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Path]:
    """Small random models under the names of the shipped ones."""
    from impasto.translation import choice, model

    folder, light = tmp_path_factory.mktemp("models"), {"kind": "light", "width": 8, "blocks": 1}
    kinds: dict[str, tuple[dict[str, Any], str]] = {
        "superres-x2": (light | {"scale": 2}, "superres"),
        "superres-x4": (light | {"scale": 4}, "superres"),
        "restore-photo": (light | {"scale": 1, "fold": 2}, "restore"),
        "colorize": ({"kind": "unet", "width": 16, "layers": 6}, "colorize"),
        "remove-text": ({"kind": "unet", "width": 16, "layers": 6}, "restore"),
    }
    facts = {"about": "random", "licence": "none at all", "validation": {"psnr": 12.3456}}
    made = {
        name: write_model(folder / f"{name}.safetensors", architecture, task, **facts)
        for name, (architecture, task) in kinds.items()
    }
    for module in (model, choice):
        monkeypatch.setattr(module, "shipped", lambda: made)
    return made
