"""Models in files: bit for bit what was saved, found by name, run or file, and refused in one line."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file
from torch import nn

from impasto.errors import ImpastoError, UsageError
from impasto.runs.directory import RunDirectory
from impasto.translation import model as room
from impasto.translation.architectures import build
from impasto.translation.model import MODEL, TranslationModel, card_of, load, read, require_task, save

ARCHITECTURES: list[dict[str, Any]] = [
    {"kind": "light", "scale": 2, "width": 4, "blocks": 1},
    {"kind": "light", "scale": 1, "width": 4, "blocks": 2, "fold": 2, "icnr": False},
    {"kind": "unet", "encoder_name": "pocket", "layers": 6, "out": 5, "width": 8, "residual": False},
    {"kind": "unet", "encoder_name": "pocket", "layers": 6, "width": 8, "norm": "spectral", "attention": True},
    {
        "kind": "unet",
        "encoder_name": "pocket",
        "layers": 6,
        "width": 8,
        "norm": "weight",
        "cross": False,
        "blur": False,
    },
    {"kind": "unet", "encoder_name": "timm:test_resnet", "width": 8},
    {"kind": "transformer", "width": 4, "blocks": 1, "norm": "batch", "factored": True},
]


def trained(architecture: dict[str, Any], **facts: Any) -> TranslationModel:
    """A model as something like training leaves it: no weight and no statistic is what it was."""
    torch.manual_seed(3)
    module = build(architecture)
    with torch.no_grad():
        module.train()(torch.rand(2, 3, 64, 64))
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.05)
    return TranslationModel("mine", module.eval().requires_grad_(False), "restore", architecture=architecture, **facts)


@pytest.fixture
def light() -> TranslationModel:
    return trained(ARCHITECTURES[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: "-".join(map(str, a.values())))
def test_a_file_gives_back_what_went_into_it(architecture: dict[str, Any], tmp_path: Path) -> None:
    facts = {
        "scale": architecture.get("scale", 1), "recipe": {"version": 1, "steps": [{"operation": "gray"}]},
        "classes": ("sky", "Straße"), "card": {"licence": "CC BY-SA 4.0", "psnr": 31.25, "for": ["a", "b"]},
    }  # fmt: skip
    model = trained(architecture, **facts)
    save(model, tmp_path / "there.safetensors")
    again = load(tmp_path / "there.safetensors")
    mine, its = model.module.state_dict(), again.module.state_dict()
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in mine)
    assert again.name == "there" and again.task == "restore" and again.architecture == architecture
    assert {name: getattr(again, name) for name in facts} == facts
    assert again.sha256 == hashlib.sha256((tmp_path / "there.safetensors").read_bytes()).hexdigest()
    assert not any(p.requires_grad for p in again.module.parameters())
    assert not any(module.training for module in again.module.modules())
    image = torch.rand(1, 3, 13, 22)
    with torch.no_grad():
        assert torch.allclose(model.module(image), again.module(image), atol=1e-6)
    assert again.parameters == sum(p.numel() for p in model.module.parameters())


def test_half_precision_halves_the_file_and_is_read_as_single(light: TranslationModel, tmp_path: Path) -> None:
    model = trained({"kind": "unet", "layers": 6, "width": 16})
    for half in (False, True):
        save(model, tmp_path / f"{half}.safetensors", half=half)
    sizes = [(tmp_path / f"{half}.safetensors").stat().st_size for half in (False, True)]
    assert 0.45 < sizes[1] / sizes[0] < 0.6
    for name, value in load(tmp_path / "True.safetensors").module.state_dict().items():
        own = model.module.state_dict()[name]
        assert value.dtype == own.dtype
        assert torch.equal(value, own.half().float() if own.is_floating_point() else own), name


def test_a_file_is_safetensors_that_anybody_reads(light: TranslationModel, tmp_path: Path) -> None:
    light.module.to(memory_format=torch.channels_last)  # as training leaves it
    save(light, tmp_path / "m.safetensors")
    assert load_file(tmp_path / "m.safetensors").keys() == light.module.state_dict().keys()
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "impasto translation" and metadata["version"] == "1"
    assert json.loads(metadata["facts"])["architecture"] == light.architecture


# How it is found


def test_a_model_is_found_by_its_shipped_name_its_run_or_its_file(
    light: TranslationModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs/X2").mkdir(parents=True)
    save(light, tmp_path / "runs/X2" / MODEL)
    monkeypatch.setattr(room, "shipped", lambda: {"superres-x2": tmp_path / "runs/X2" / MODEL})
    assert load("superres-x2").name == "superres-x2"
    assert load(tmp_path / "runs/X2").name == "X2" and load(tmp_path / "runs/X2" / MODEL).name == "X2"
    monkeypatch.chdir(tmp_path / "runs/X2")
    assert load(".").name == "X2"
    assert card_of("superres-x2")["task"] == "restore"
    save_file({"a": torch.zeros(1)}, tmp_path / "g.safetensors", {"format": "impasto generator"})
    with pytest.raises(UsageError, match="is an impasto generator, and no model from picture to picture"):
        load(tmp_path / "g.safetensors")
    with pytest.raises(UsageError, match="no shipped model 'superres-x3': there are superres-x2"):
        card_of("superres-x3")
    with pytest.raises(UsageError, match="no model 'superres-x3': there are superres-x2, runs, and files"):
        load("superres-x3")


def test_every_shipped_model_can_be_built_and_says_what_it_is() -> None:
    for name in room.shipped():
        card = card_of(name)
        assert require_task(card["task"]) and card["card"], name
        assert load(name).module(torch.rand(1, 3, 9, 11)).shape[-2:] == (9 * card["scale"], 11 * card["scale"])


# What is refused


def test_a_run_that_is_not_finished_has_no_model(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="no run in .*photos"):
        load(tmp_path / "photos")
    RunDirectory.create(tmp_path / "run", verb="train-enhance", options={}, manifest={})
    with pytest.raises(
        UsageError, match=r"run holds no finished model .*: go on with the run by `impasto resume .*run`"
    ):
        load(tmp_path / "run")
    RunDirectory.create(tmp_path / "gan", verb="train-gan", options={}, manifest={})
    save_file({"weight": torch.zeros(2)}, tmp_path / "gan" / MODEL)
    with pytest.raises(UsageError, match="gan is a run of `impasto train gan`: take one of"):
        load(tmp_path / "gan")


def test_a_file_that_is_no_model_is_one_line(light: TranslationModel, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("weights")
    save(light, tmp_path / "torn.safetensors")
    (tmp_path / "torn.safetensors").write_bytes((tmp_path / "torn.safetensors").read_bytes()[:-100])
    for name in ("other", "text", "torn", "nowhere"):
        with pytest.raises(UsageError, match=f"{name}.safetensors is no model of impasto"):
            read(tmp_path / f"{name}.safetensors", name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state, metadata: metadata.update(version="2"), "is of version 2, not 1: use the impasto that wrote it"),
        (lambda state, metadata: state.pop("tail.bias"), "does not hold the weights of the network that it names"),
        (lambda state, metadata: state.update(more=torch.zeros(1)), "does not hold the weights"),
        (lambda state, metadata: state.update({"head.bias": torch.zeros(5)}), "does not hold the weights"),
        (
            lambda state, metadata: metadata.update(facts=metadata["facts"].replace('"light"', '"lihgt"')),
            "no architecture 'lihgt': there are light, unet, transformer",
        ),
        (
            lambda state, metadata: metadata.update(facts=metadata["facts"].replace('"width"', '"wide"')),
            "the architecture light cannot be made of .*wide",
        ),
        (lambda state, metadata: metadata.update(facts="{"), "is damaged"),
        (lambda state, metadata: metadata.update(facts="{}"), "is damaged"),
    ],
    ids=["version", "missing", "extra", "shape", "kind", "setting", "torn-facts", "no-facts"],
)
def test_a_file_that_does_not_hold_what_it_says_is_one_line(
    change: Any, words: str, light: TranslationModel, tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    save(light, path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    change(state, metadata)
    save_file(state, path, metadata)
    with pytest.raises(UsageError, match=words) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_another_project_s_model_is_not_saved_as_ours(tmp_path: Path) -> None:
    foreign = TranslationModel("theirs", nn.Identity(), "restore")
    with pytest.raises(UsageError, match="theirs is of another project: keep its own file"):
        save(foreign, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole_or_not_at_all(
    light: TranslationModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(light, tmp_path / "m.safetensors")
    before = (tmp_path / "m.safetensors").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ImpastoError, match="the disk is full"):
        save(trained(ARCHITECTURES[1]), tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_task_that_there_is_not_is_one_line() -> None:
    assert require_task("segment") == "segment"
    with pytest.raises(UsageError, match="no task 'superress': there are superres, restore, colorize, segment"):
        require_task("superress")
