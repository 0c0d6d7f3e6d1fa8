"""Crafts from records: a recipe, back to work that can be done again."""

from pathlib import Path

import pytest
import torch

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.runs.recipe import Input
from impasto.synthesis import invert, stylize, texture
from impasto.synthesis.crafts import rebuild
from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions
from impasto.synthesis.session import make

NAME = Path("out.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in enumerate(("photo", "one", "two", "start")):
        write(folder / f"{name}.png", Picture(torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(seed))))
    left = (torch.arange(48) < 24).float().expand(1, 3, 32, 48).contiguous()
    write(folder / "left.png", Picture(left))
    write(folder / "right.png", Picture(1 - left))
    return folder


def crafts(folder):
    photo, one, two = (folder / f"{name}.png" for name in ("photo", "one", "two"))
    masks = (folder / "left.png", folder / "right.png")
    return {
        "stylize": stylize.prepare(
            photo,
            [one, two],
            StyleTransferOptions(
                masks=masks, style_masks=masks[::-1], init=str(folder / "start.png"), loss=("gram", "sliced"), steps=2
            ),
        ),
        "texture": texture.prepare([two, one], TextureOptions(size="48x32", tileable=True, steps=2)),
        "invert": invert.prepare(photo, InversionOptions(taps=("pixels",), steps=2)),
    }


@pytest.mark.parametrize("verb", ["stylize", "texture", "invert"])
def test_a_craft_comes_back_from_its_record(folder, verb):
    craft = crafts(folder)[verb]
    options = craft.options.model_dump(mode="json", exclude_defaults=True)
    again = rebuild(craft.verb, options, craft.inputs, name=NAME)
    assert type(again) is type(craft) and again.inputs == craft.inputs
    assert (again.size, again.stages, again.options) == (craft.size, craft.stages, craft.options)
    assert torch.equal(make(again).tensor, make(craft).tensor)


def test_every_input_may_have_moved(folder, tmp_path):
    craft = crafts(folder)["stylize"]
    options = craft.options.model_dump(mode="json", exclude_defaults=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for number, path in enumerate(folder.iterdir()):
        (elsewhere / f"{number}.png").write_bytes(path.read_bytes())
    gone = [one.model_copy(update={"path": f"/gone/{Path(one.path).name}"}) for one in craft.inputs]
    again = rebuild("stylize", options, gone, name=NAME, search=[elsewhere])
    assert all(Path(one.path).parent == elsewhere for one in again.inputs)
    assert [one.sha256 for one in again.inputs] == [one.sha256 for one in craft.inputs]
    assert torch.equal(make(again).tensor, make(craft).tensor)


def test_what_cannot_be_made_again_is_said(folder):
    craft = crafts(folder)["invert"]

    def refused(verb, options, inputs) -> str:
        with pytest.raises(UsageError) as caught:
            rebuild(verb, options, inputs, name=NAME)
        return str(caught.value)

    assert "out.png was made by 'dream'" in refused("dream", {}, craft.inputs)
    memory = Input(role="content", path="", sha256="", size=0)
    assert "in memory" in refused("invert", {}, [memory])
    for verb in ("stylize", "texture", "invert"):
        assert "in memory" in refused(verb, {}, [])
    assert "strenght" in refused("invert", {"strenght": 1}, craft.inputs)
    gone = craft.inputs[0].model_copy(update={"path": "/gone/photo.png"})
    assert "/gone/photo.png" in refused("invert", {}, [gone])
