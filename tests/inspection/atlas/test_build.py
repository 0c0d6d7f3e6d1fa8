"""An atlas is built in pieces: none is made twice, none is lost but those under way when a kill comes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.inspection.atlas import activation_atlas, build
from impasto.inspection.atlas.build import AtlasResult, atlas
from impasto.inspection.atlas.content import AtlasContent
from impasto.inspection.atlas.options import AtlasOptions

Build = Callable[..., AtlasResult]


@pytest.fixture
def built(pictures: Path, tmp_path: Path, small: dict[str, Any]) -> Build:
    """Build the small atlas, with some options changed."""
    return lambda network="pocket", **changed: atlas(network, pictures, tmp_path / "site", **(small | changed))


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> list[AtlasContent]:
    """What is written, as data."""
    seen: list[AtlasContent] = []
    write = build.write_site
    monkeypatch.setattr(build, "write_site", lambda content, folder: (seen.append(content), write(content, folder))[1])
    return seen


def files(site: Path) -> dict[str, bytes]:
    """Pictures and pages, by path."""
    kept = (path for path in site.rglob("*") if path.is_file() and ".atlas" not in path.parts)
    return {str(path.relative_to(site)): path.read_bytes() for path in kept}


def other_pocket() -> networks.Network:
    """pocket with other weights in its second convolution."""
    pocket = networks.load("pocket")
    chance = torch.Generator().manual_seed(0)
    weight = pocket.module.features[3].weight.data
    weight += 0.1 * torch.randn(weight.shape, generator=chance)
    return replace(pocket, name="other", sha256="")


def test_a_small_atlas_of_pocket_shows_every_unit(built: Build, contents: list[AtlasContent], tmp_path: Path) -> None:
    result = built()
    assert result.index == tmp_path / "site" / "index.html"
    assert (result.layers, result.units) == (2, 48)
    assert result.index.is_file()
    (content,) = contents
    assert (content.pictures, content.folder) == (6, "pictures")
    first, second = content.layers
    for unit in (*first.units, *second.units):
        for picture in (unit.picture, unit.diversity, unit.patches_picture):
            with Image.open(tmp_path / "site" / picture) as shown:
                shown.load()
        assert len(unit.patches) == 6
        assert unit.patches[0].activation >= unit.patches[-1].activation
        assert len(unit.edges) == len(unit.counts) + 1
        assert sum(unit.counts) > 0
    with Image.open(tmp_path / "site" / first.units[0].picture) as picture:
        assert (picture.format, picture.size) == ("WEBP", (32, 32))
    with Image.open(tmp_path / "site" / first.units[0].diversity) as sheet:
        assert sheet.size == (64, 32)
    with Image.open(tmp_path / "site" / first.units[0].patches_picture) as strip:
        assert strip.size == (6 * 16, 16)


def test_links_of_units_are_those_of_the_weights(built: Build, contents: list[AtlasContent]) -> None:
    built()
    first, second = contents[0].layers
    assert first.units[0].excited_by == ()
    weights = networks.load("pocket").module.features[3].weight.sum((2, 3))
    for unit in second.units:
        row = weights[unit.channel]
        assert unit.excited_by[0].channel == int(row.argmax())
        assert unit.inhibited_by[0].channel == int(row.argmin())
        assert unit.excited_by[0].weight == pytest.approx(float(row.max() / row.abs().max()), abs=1e-3)
    assert first.units[3].excites
    assert all(link.layer == "relu2_1" for link in first.units[3].excites)
    assert all(unit.channel not in [link.channel for link in unit.neighbours] for unit in first.units)


def test_the_activation_atlas_has_full_cells_with_pictures(
    built: Build, contents: list[AtlasContent], tmp_path: Path
) -> None:
    built(activation_atlases=("relu2_1",))
    (atlas,) = contents[0].activation_atlases
    assert atlas.layer == "relu2_1"
    assert atlas.cells
    assert all(cell.count > 5 and cell.row < atlas.side and cell.column < atlas.side for cell in atlas.cells)
    assert all((tmp_path / "site" / cell.picture).is_file() for cell in atlas.cells)
    assert all(cell.sources for cell in atlas.cells)


def test_a_second_build_makes_and_writes_nothing(built: Build, tmp_path: Path) -> None:
    assert built().made > 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "site").rglob("*.*") if path.is_file()}
    again = built()
    assert (again.made, again.pages) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_options_redo_what_depends_on_them_and_no_more(built: Build) -> None:
    first = built()
    assert built(patch_size=24).made == 2  # the patches of two layers
    assert built(diversity=0).made == 0
    assert built(diversity_size=24).made == 2
    assert built(layout="tsne").made == 2  # a layout, and its cells
    # visualizations, diversity and cells; neither scan, patches, expanded weights nor the layout
    assert built(steps=4).made == first.made - 1 - 2 - 1 - 1


def test_the_network_may_be_named_in_the_options(pictures: Path, tmp_path: Path, small: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no network 'nonesuch'"):
        atlas(None, pictures, tmp_path / "site", options=AtlasOptions(network="nonesuch"), **small)
    named = AtlasOptions(network="pocket")
    assert atlas(None, pictures, tmp_path / "site", options=named, **small).units == 48


def test_strips_are_as_wide_as_there_are_patches(
    built: Build, contents: list[AtlasContent], pictures: Path, tmp_path: Path
) -> None:
    for path in sorted(pictures.rglob("*.png"))[3:]:
        path.unlink()
    built(compare=other_pocket(), taps=("relu2_1",), diversity=0, activation_atlases=("none",))
    for unit in contents[0].layers[0].units:
        assert len(unit.patches) == 3
        for strip in (unit.patches_picture, unit.compared_patches):
            with Image.open(tmp_path / "site" / strip) as shown:
                assert shown.size == (3 * 16, 16)


def test_pictures_that_do_not_fit_are_left_out_everywhere(
    built: Build, contents: list[AtlasContent], pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (200, 2)).save(pictures / "long.png")
    built(compare=other_pocket(), diversity=0, taps=("relu1_1", "relu3_1"))
    assert {patch.source for unit in contents[0].layers[1].units for patch in unit.patches} == {
        path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png") if path.name != "long.png"
    }
    assert contents[0].activation_atlases
    assert all(unit.change is not None for unit in contents[0].layers[0].units)
    assert "long.png" in caplog.text


def test_a_transformer_sees_pictures_that_are_not_square(
    built: Build, contents: list[AtlasContent], pictures: Path
) -> None:
    shutil.rmtree(pictures)
    pictures.mkdir()
    chance = np.random.default_rng(0)
    for number in range(2):
        Image.fromarray(chance.integers(0, 256, (60, 90, 3), dtype=np.uint8)).save(pictures / f"{number}.png")

    def transformer(seed: int) -> networks.Network:
        torch.manual_seed(seed)
        module = timm.create_model("test_vit", pretrained=False, dynamic_img_size=True).eval().requires_grad_(False)
        return networks.Network("vit", module)

    built(transformer(0), compare=transformer(1), taps=("blocks.2",), scan_size=64, activation_atlases=("blocks.2",))
    (layer,) = contents[0].layers
    assert all(len(unit.patches) == 2 and unit.change is not None for unit in layer.units)


def test_other_files_among_the_pictures_do_no_harm(built: Build, tmp_path: Path) -> None:
    built()
    for folder in (tmp_path / "site" / "pictures").iterdir():
        for name in (".DS_Store", "._0.webp", "Thumbs.db"):
            (folder / name).touch()
    assert built().made == 0


@pytest.mark.parametrize("layout", ["umap", "tsne", "pca"])
def test_every_seed_lays_out(layout: activation_atlas.Layout) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    found = activation_atlas.places(vectors, layout, 2**63 - 1)
    assert found.shape == (40, 2)
    assert np.isfinite(found).all()


def test_new_pictures_are_looked_at_and_nothing_is_rendered_again_for_them(
    built: Build, pictures: Path, tmp_path: Path
) -> None:
    built(activation_atlases=("none",))
    Image.fromarray(np.zeros((50, 50, 3), dtype=np.uint8)).save(pictures / "black.png")
    assert built(activation_atlases=("none",)).made == 1 + 2  # the scan, and the patches of two layers


def test_clearing_leaves_what_the_last_build_shows(built: Build, tmp_path: Path) -> None:
    built()
    built(steps=4, clear=True)
    assert built(steps=4, clear=True).made == 0
    assert list((tmp_path / "site" / ".atlas").rglob("layers.json"))
    kept = files(tmp_path / "site")
    shutil.rmtree(tmp_path / "site")
    built(steps=4)
    assert kept == files(tmp_path / "site")


def test_a_broken_page_is_written_again(built: Build, tmp_path: Path) -> None:
    built()
    page = tmp_path / "site" / "index.html"
    whole = page.read_bytes()
    page.write_text("gone")
    assert built().pages == 1
    assert page.read_bytes() == whole


def test_two_networks_are_shown_side_by_side_with_what_changed(
    built: Build, contents: list[AtlasContent], tmp_path: Path
) -> None:
    built(compare=other_pocket(), diversity=0, activation_atlases=("none",))
    (content,) = contents
    first, second = content.layers
    assert content.compared == "other"
    assert all(unit.change == pytest.approx(0, abs=1e-4) for unit in first.units)
    assert np.mean([unit.change for unit in second.units if unit.change is not None]) > 0.01
    assert all((tmp_path / "site" / unit.compared).is_file() for unit in second.units)
    assert all((tmp_path / "site" / unit.compared_patches).is_file() for unit in second.units)


def test_a_trained_network_is_compared_in_the_layers_it_has_kept(
    built: Build, contents: list[AtlasContent], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from impasto.learning.classifier import classifier
    from impasto.learning.trained_network import as_network

    model = classifier(["a", "b"], network="pocket", tap="relu2_2")
    trained = replace(as_network(model), name="trained", sha256="")
    built(compare=trained, taps=(), diversity=0, activation_atlases=("none",))
    (content,) = contents
    assert [layer.tap for layer in content.layers] == ["relu1_1", "relu2_1", "relu2_2"]
    assert content.compared == "trained"
    assert all(unit.compared for layer in content.layers for unit in layer.units)
    (line,) = [one.getMessage() for one in caplog.records if "left out" in one.getMessage()]
    assert "relu3_1 of pocket" in line
    assert "head of trained" in line
    with pytest.raises(UsageError, match="trained has no tap 'relu3_1'"):
        built(compare=trained, taps=("relu2_1", "relu3_1"))


def test_a_network_is_not_compared_with_itself(built: Build, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pocket is the same network: nothing to compare"):
        built(compare="pocket")
    assert not (tmp_path / "site").exists()


def test_networks_without_a_layer_in_common_are_not_compared(built: Build) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)).eval().requires_grad_(False)
    with pytest.raises(UsageError, match=r"cannot be compared unit by unit: pocket has relu1_1 \(16 units\)"):
        built(compare=networks.Network("other", module), taps=())


@pytest.mark.slow
def test_processes_make_the_same_as_one(built: Build, tmp_path: Path) -> None:
    built()
    alone = files(tmp_path / "site")
    shutil.rmtree(tmp_path / "site")
    parts: list[float] = []
    built(workers=2, progress=lambda part, words: parts.append(part))
    assert files(tmp_path / "site") == alone
    assert parts[-1] == 1.0


PROGRAM = """
import json, sys
from impasto.inspection.atlas.build import atlas

if __name__ == "__main__":
    tell = lambda part, words: print(words, flush=True)
    atlas("pocket", sys.argv[1], sys.argv[2], progress=tell, **json.loads(sys.argv[3]))
"""


@pytest.mark.slow
def test_a_killed_build_goes_on_and_ends_the_same(
    built: Build, pictures: Path, tmp_path: Path, small: dict[str, Any]
) -> None:
    how = {"taps": ("relu1_1", "relu2_1", "relu3_1"), "steps": 12, "diversity": 0, "activation_atlases": ("none",)}
    (tmp_path / "program.py").write_text(PROGRAM)
    words = [sys.executable, str(tmp_path / "program.py"), str(pictures), str(tmp_path / "site")]
    killed = subprocess.Popen([*words, json.dumps(small | how | {"workers": 2})], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    done = tmp_path / "site" / "pictures"
    for line in killed.stdout:
        if "visualization" in line and len(list(done.glob("[!.]*"))) >= 2:
            break
    os.kill(killed.pid, signal.SIGKILL)
    killed.stdout.read()  # to the end: the workers, who hold the pipe too, end with the process that began them
    killed.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in done.glob("[!.]*")}
    assert kept
    built(**how)
    assert {name: (done / name).stat().st_mtime_ns for name in kept} == kept
    assert not list((tmp_path / "site").rglob(".part-*"))
    whole = files(tmp_path / "site")
    shutil.rmtree(tmp_path / "site")
    built(**how)
    assert files(tmp_path / "site") == whole


@pytest.mark.slow
def test_a_worker_that_dies_is_told_in_a_line(built: Build, tmp_path: Path) -> None:
    def tell(part: float, words: str) -> None:
        if "visualization" in words:
            for child in Path("/proc/self/task").glob("*/children"):
                for pid in child.read_text().split():
                    if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text():
                        os.kill(int(pid), signal.SIGKILL)

    if not Path("/proc/self/task").exists():
        pytest.skip("no /proc: the worker's process is not found")
    with pytest.raises(ImpastoError, match="a worker process was killed by signal SIGKILL while it made"):
        built(workers=2, steps=200, progress=tell)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"taps": ("relu9_1",)}, "pocket has no tap 'relu9_1'"),
        ({"activation_atlases": ("relu3_1",)}, "the atlas has no layer 'relu3_1': it has relu1_1, relu2_1"),
        ({"size": 3}, "size is 3"),
    ],
)
def test_a_wrong_wish_is_said_before_any_work(built: Build, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        built(**changed)
    assert not list((tmp_path / "site").glob("pictures/*"))


def test_umap_that_is_missing_is_said_before_any_work(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_atlas, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install impasto\[umap\], or choose --layout tsne"):
        built(layout="umap")


def test_without_umap_the_default_lays_out_by_tsne_and_says_so(
    built: Build,
    contents: list[AtlasContent],
    small: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    del small["layout"]
    caplog.set_level("INFO", "impasto")
    monkeypatch.setattr(activation_atlas, "find_spec", lambda name: None)
    built(activation_atlases=("relu2_1",))
    assert contents[0].facts["Activation atlases"] == "laid out by t-SNE"
    assert "laid out by t-SNE, for UMAP is not installed" in caplog.text


def test_a_folder_that_is_missing_or_empty_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no pictures"):
        atlas("pocket", tmp_path / "empty", tmp_path / "site")
    with pytest.raises(UsageError, match="nowhere does not exist"):
        atlas("pocket", tmp_path / "nowhere", tmp_path / "site")
    assert not (tmp_path / "site").exists()
