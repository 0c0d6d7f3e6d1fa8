"""Pictures that fool a network."""

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from torch import Tensor

from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, read, read_recipe, write
from impasto.inspection.fool import fool
from impasto.inspection.predictions import top_classes
from impasto.networks import Network
from impasto.runs.recipe import parse


@pytest.fixture(scope="module")
def network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = timm.create_model("resnet10t", num_classes=5, zero_init_last=False).eval().requires_grad_(False)
        module.fc.weight.normal_()  # begins so small that all pictures score alike
    return Network("resnet10t", module, classes=("ant", "bee", "cat", "dog", "eel"))


@pytest.fixture(scope="module")
def photo() -> Picture:
    return Picture(torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def other(network: Network, photo: Picture) -> str:
    """The class that the picture is least taken for."""
    return top_classes(network, photo.pixels, 5)[-1].name


def test_the_file_that_is_written_fools(network: Network, photo: Picture, other: str, tmp_path: Path) -> None:
    found = fool(photo, other, network=network, size=40)
    assert found.reached and 0 < found.steps <= 100 and found.after[0].name == other
    path = found.save(tmp_path / "fooled.png", tmp_path / "sheet.png")
    written = read(path).pixels
    assert top_classes(network, written, 1)[0] == found.after[0]
    assert written.min() >= 0 and written.max() <= 1
    sizes = found.sizes()
    assert sizes["largest"] == pytest.approx(float((255 * (written - (photo.pixels * 255).round() / 255)).abs().max()))
    assert 0 < sizes["mean"] < sizes["largest"] and read(tmp_path / "sheet.png").width > 300


def test_a_target_may_be_left_to_chance(network: Network, photo: Picture) -> None:
    before = top_classes(network, photo.pixels, 1)[0].index
    found = [fool(photo, network=network, size=40, seed=seed, steps=1).target.index for seed in range(12)]
    assert before not in found and len(set(found)) > 1
    assert fool(photo, network=network, size=40, seed=4, steps=1).target.index == found[4]


def test_confidence_is_reached(network: Network, photo: Picture, other: str) -> None:
    found = fool(photo, other, network=network, size=40, confidence=0.6)
    assert found.reached and found.target.probability >= 0.6


def test_what_is_not_reached_is_said(network: Network, photo: Picture, other: str) -> None:
    found = fool(photo, other, network=network, size=40, confidence=0.999, steps=1)
    assert not found.reached and found.steps == 1 and not found.facts()["reached"]


@pytest.mark.parametrize(
    ("target", "words"), [("ell", "has no class 'ell': the nearest are .*eel"), (9, "no class 9: they are 0 to 4")]
)
def test_an_unknown_target(target: object, words: str, network: Network, photo: Picture) -> None:
    with pytest.raises(UsageError, match=words):
        fool(photo, target, network=network)  # type: ignore[arg-type]


def test_other_errors_in_one_line(network: Network, photo: Picture, other: str, tmp_path: Path) -> None:
    already = top_classes(network, photo.pixels, 1)[0].name
    with pytest.raises(UsageError, match=f"taken for {already} already"):
        fool(photo, already, network=network, size=40)
    with pytest.raises(UsageError, match="pocket is no classifier"):
        fool(photo, network="pocket")
    with pytest.raises(UsageError, match="would lose what fools"):
        fool(photo, other, network=network, size=40, steps=1).save(tmp_path / "a.jpg")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match="text.png"):
        fool(tmp_path / "text.png", network=network)


@pytest.mark.realdata
def test_a_photograph_is_taken_for_a_goldfish(shared: Path) -> None:
    weights = shared / "weights/squeezenet1_0.safetensors"
    squeezenet = networks.load("squeezenet1_0", weights=weights)
    photo = sorted((shared / "data/imagenet-1k-samples").iterdir())[300]
    found = fool(photo, "goldfish", network=squeezenet, size=160)
    assert found.reached and found.sizes()["mean"] < 3


def test_the_recipe_says_how_it_was_made(network: Network, photo: Picture, other: str, tmp_path: Path) -> None:
    write(tmp_path / "photo.png", photo)
    found = fool(tmp_path / "photo.png", other, network=network, size=40)
    found.save(tmp_path / "fooled.png", tmp_path / "sheet.png")
    for name in ("fooled.png", "sheet.png"):
        recipe = parse(read_recipe(tmp_path / name), tmp_path / name)
        assert recipe.verb == "fool" and recipe.options == {"target": other, "size": 40, "network": "resnet10t"}
        assert recipe.inputs[0].path == str((tmp_path / "photo.png").resolve()) and "torch" in recipe.made_with


def test_a_gray_picture(network: Network, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((40, 40)).save(tmp_path / "gray.png")
    target = top_classes(network, read(tmp_path / "gray.png").pixels, 5)[1].name
    found: Tensor = fool(tmp_path / "gray.png", target, network=network, size=40).fooled
    assert found.shape == (1, 3, 40, 40)
