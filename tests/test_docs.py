"""The documentation's Python runs, and its links lead somewhere."""

import re
from pathlib import Path

import pytest
import torch

from impasto.images import Picture, write

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "painting.jpg"):
        write(name, Picture(torch.rand(1, 3, 64, 96)))
    for number in range(8):  # pictures that are dark, and pictures that are light
        for name, light in (("pets/cat", 0.3), ("pets/dog", 0.7), ("more-pets/cat", 0.3)):
            Path(name).mkdir(parents=True, exist_ok=True)
            write(
                Path(name, f"{name[0]}{number}.png"),
                Picture(light * torch.ones(1, 3, 64, 64) + torch.rand(1, 3, 64, 64) * 0.2),
            )
    for code in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(compile(code, str(page), "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
