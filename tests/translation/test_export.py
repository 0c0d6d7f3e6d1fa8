"""Export: the file gives what torch gives, at any size, says what it is, and is only written when it does."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from impasto.errors import ImpastoError, UsageError
from impasto.translation.architectures import build
from impasto.translation.export import TOLERANCE, Exported, export
from impasto.translation.model import TranslationModel

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxscript", reason="the extra onnx is not installed")

RECIPE = {"version": 1, "name": None, "steps": [{"operation": "down"}]}


def model(architecture: dict[str, object], **facts: object) -> TranslationModel:
    """One whose weights are strong enough for an error to be seen."""
    torch.manual_seed(0)
    module = build(architecture).eval().requires_grad_(False)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3 / max(1, parameter[0].numel()) ** 0.5)
    given = {"task": "superres", "scale": 2, "architecture": architecture, **facts}
    return TranslationModel("mine", module, **given)  # type: ignore[arg-type]


LIGHT = {"kind": "light", "scale": 2, "width": 6, "blocks": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[TranslationModel, Exported]:
    exported = model(LIGHT, recipe=RECIPE, card={"licence": "Apache-2.0"}, sha256="abc")
    return exported, export(exported, tmp_path_factory.mktemp("export") / "mine.onnx")


def run(path: Path, image: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"image": image.numpy()})[0])


def test_the_file_gives_what_torch_gives_at_any_size(made: tuple[TranslationModel, Exported]) -> None:
    exported, file = made
    assert file.difference <= TOLERANCE and file.bytes == file.path.stat().st_size
    for size in ((1, 1), (1, 7), (2, 3), (33, 20), (64, 128)):
        image = torch.rand(1, 3, *size, generator=torch.manual_seed(1))
        output = run(file.path, image)
        assert output.shape == (1, 3, 2 * size[0], 2 * size[1])
        assert (output - exported.module(image)).abs().max() <= TOLERANCE


def test_height_and_width_are_free_and_named(made: tuple[TranslationModel, Exported]) -> None:
    (given,) = onnxruntime.InferenceSession(made[1].path).get_inputs()
    assert (given.name, given.shape) == ("image", [1, 3, "height", "width"])


def test_the_file_says_what_it_is_and_nothing_of_this_machine(made: tuple[TranslationModel, Exported]) -> None:
    file = onnx.load(made[1].path)
    facts = {entry.key: entry.value for entry in file.metadata_props}
    assert facts["name"] == "mine" and facts["task"] == "superres" and facts["scale"] == "2"
    assert json.loads(facts["recipe"]) == RECIPE and json.loads(facts["card"]) == {"licence": "Apache-2.0"}
    assert json.loads(facts["classes"]) == [] and facts["sha256"] == "abc" and facts["precision"] == "32"
    data = made[1].path.read_bytes()
    assert b".py" not in data and str(Path.home()).encode() not in data


def test_half_precision_is_half_the_size(made: tuple[TranslationModel, Exported], tmp_path: Path) -> None:
    exported, whole = made
    half = export(exported, tmp_path / "half.onnx", half=True)
    image = torch.rand(1, 3, 20, 31)
    assert (run(half.path, image) - exported.module(image)).abs().max() < 1e-2
    weights = {kept.data_type for kept in onnx.load(half.path).graph.initializer if len(kept.dims) == 4}
    assert weights == {onnx.TensorProto.FLOAT16} and half.bytes < whole.bytes
    assert next(exported.module.parameters()).dtype == torch.float32


class Noise(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image + torch.randn_like(image)


class Branch(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image if image.mean() > 0.5 else 1 - image


@pytest.mark.parametrize(
    ("module", "words"),
    [(Noise(), "differs from torch by .*: nothing was written"), (Branch(), "strange cannot be exported to ONNX: ")],
)
def test_what_is_not_the_same_is_not_written(module: nn.Module, words: str, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    out.write_bytes(b"before")
    with pytest.raises(ImpastoError, match=words) as raised:
        export(TranslationModel("strange", module, "restore"), out)
    assert "\n" not in str(raised.value) and out.read_bytes() == b"before"


def test_without_the_extra_the_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("impasto.translation.export.find_spec", lambda name: None if "runtime" in name else name)
    with pytest.raises(UsageError, match=r"exporting needs onnxruntime: pip install 'impasto\[onnx\]'"):
        export(model(LIGHT), tmp_path / "out.onnx")


def test_a_folder_that_is_not_there_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match="does not exist"):
        export(model(LIGHT), tmp_path / "none" / "out.onnx")
    with pytest.raises(UsageError, match=r"model.safetensors: what is written there is ONNX: name a .onnx"):
        export(model(LIGHT), tmp_path / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "facts"),
    [
        ({"kind": "light", "scale": 1, "fold": 2, "width": 6, "blocks": 1}, {"task": "restore", "scale": 1}),
        ({"kind": "transformer", "width": 6, "blocks": 1}, {"task": "restore", "scale": 1}),
        (
            {"kind": "unet", "width": 16, "norm": "weight", "out": 5},
            {"task": "segment", "scale": 1, "classes": tuple("abcde")},
        ),
    ],
)
def test_every_architecture_is_exported(
    architecture: dict[str, object], facts: dict[str, object], tmp_path: Path
) -> None:
    exported = model(architecture, **facts)
    file = export(exported, tmp_path / "out.onnx")
    image = torch.rand(1, 3, 19, 61)
    output, expected = run(file.path, image), exported.module(image)
    assert output.shape == expected.shape
    assert np.abs((output - expected).numpy()).max() <= TOLERANCE * max(1.0, float(expected.abs().max()))
