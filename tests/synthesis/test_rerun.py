"""Rerun: a picture made again from the recipe inside it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import impasto
from impasto.errors import UsageError
from impasto.images import Picture, read, read_recipe, write
from impasto.synthesis.rerun import Difference, rerun
from impasto.synthesis.stylize import stylize


def scene(seed: int, height: int = 24, width: int = 32) -> torch.Tensor:
    coarse = torch.rand(1, 3, 3 + 2 * seed, 4 + 2 * seed, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """A photograph and a painting on disk."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    for seed, name in ((1, "photo.png"), (4, "painting.png")):
        write(folder / name, Picture(scene(seed)))
    return folder / "photo.png", folder / "painting.png"


def painted(files: tuple[Path, Path], out: Path, **options) -> Path:
    return stylize(*files, **({"quality": "draft"} | options)).save(out)


def refused(path: Path, **options) -> str:
    with pytest.raises(UsageError) as caught:
        rerun(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_picture_made_again_is_identical_in_every_format(files, tmp_path, suffix):
    out = painted(files, tmp_path / f"out{suffix}")
    result, difference = rerun(out)
    assert difference.identical and difference.largest == 0 and difference.mean == 0 and not difference.reasons
    assert "identical" in str(difference)
    assert result.recipe.options == {"quality": "draft"}


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "wasserstein", "strength": 0.8, "seed": 3, "init": "noise"},
        {"optimizer": "adam", "stroke": 1.5, "color": "keep", "size": 40},
        {"loss": "meanstd", "taps": ("relu1_1", "relu2_1"), "color": "match", "smoothness": 0.5},
    ],
    ids=lambda options: " ".join(options),
)
def test_all_options_are_in_the_recipe(files, tmp_path, options):
    out = painted(files, tmp_path / "out.png", **options)
    _, difference = rerun(str(out))
    assert difference.identical
    assert json.loads(read_recipe(out))["options"].keys() == {*options, "quality"}


def test_sixteen_bits_are_compared_as_such(files, tmp_path):
    write(files[0], replace(read(files[0]), depth=16))
    _, difference = rerun(painted(files, tmp_path / "out.png"))
    assert difference.identical and difference.levels == 65535


def test_several_styles_and_a_start_are_found_in_order(files, tmp_path):
    third = tmp_path / "inputs" / "third.png"
    write(third, Picture(scene(2)))
    options = {"style_weights": (3, 1), "init": str(third), "quality": "draft"}
    out = stylize(files[0], [files[1], third], **options).save(tmp_path / "out.png")
    _, difference = rerun(out)
    assert difference.identical


def test_a_picture_made_again_carries_the_same_recipe(files, tmp_path):
    out = painted(files, tmp_path / "out.png", strength=0.7)
    again = rerun(out)[0].save(tmp_path / "again.png")
    assert read_recipe(again) == read_recipe(out)
    assert rerun(again)[1].identical


def test_moved_inputs_are_found_by_search(files, tmp_path):
    out = painted(files, tmp_path / "out.png")
    shutil.move(tmp_path / "inputs", tmp_path / "archive")
    (tmp_path / "archive" / "photo.png").rename(tmp_path / "archive" / "renamed.png")
    assert "photo.png" in refused(out)
    _, difference = rerun(out, search=[tmp_path / "archive"])
    assert difference.identical


@pytest.mark.parametrize("index, role", [(0, "content"), (1, "style")])
def test_a_changed_input_is_named(files, tmp_path, index, role):
    out = painted(files, tmp_path / "out.png")
    write(files[index], Picture(scene(2)))
    message = refused(out)
    assert f"{role} {files[index]}" in message and str(files[1 - index]) not in message
    assert "--search" in message


def test_an_edited_picture_is_seen_to_differ(files, tmp_path):
    out = painted(files, tmp_path / "out.png")
    picture = read(out)
    pixels = picture.pixels.clone()
    pixels[0, 1, 5, 5] = (pixels[0, 1, 5, 5] - 100 / 255).abs()
    expected = round(float((pixels - picture.pixels).abs().max() * 255))
    write(out, replace(picture, pixels=pixels))
    _, difference = rerun(out)
    assert not difference.identical and difference.largest == expected and difference.levels == 255
    assert difference.mean == pytest.approx(expected / pixels.numel(), rel=1e-3)
    assert str(expected) in str(difference)


def test_another_version_is_given_as_the_reason(files, tmp_path):
    out = painted(files, tmp_path / "out.png")
    picture = read(out)
    recipe = json.loads(picture.recipe)
    recipe["made_with"]["torch"] = "0.4.1"
    recipe["networks"]["pocket"] = "0" * 64
    write(out, replace(picture, recipe=json.dumps(recipe)))
    _, difference = rerun(out)
    assert any("torch was 0.4.1" in reason for reason in difference.reasons)
    assert any("weights of pocket" in reason for reason in difference.reasons)


def test_a_difference_says_how_large_it_is_and_why():
    said = str(Difference(3, 0.25, 255, ("torch was 1, is 2",)))
    assert "3 of 255" in said and "0.25" in said and "torch was 1, is 2" in said


def test_a_picture_without_a_recipe_is_refused(files):
    assert "photo.png carries no recipe" in refused(files[0])


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "words.png").write_text("just words")
    assert "words.png" in refused(tmp_path / "words.png")
    assert "none.png" in refused(tmp_path / "none.png")


@pytest.mark.parametrize("in_memory", ["content", "style", "one style"])
def test_a_picture_made_from_pictures_in_memory_is_refused(files, tmp_path, in_memory):
    photo, painting = files
    content = read(photo) if in_memory == "content" else photo
    styles = {"content": [painting], "style": [read(painting)], "one style": [painting, Picture(scene(2))]}[in_memory]
    out = stylize(content, styles, quality="draft").save(tmp_path / "out.png")
    assert "memory" in refused(out)


def test_an_interrupted_picture_is_refused(files, tmp_path):
    def interrupt(event) -> None:
        if event.step == 3:
            raise KeyboardInterrupt

    out = stylize(*files, progress=interrupt).save(tmp_path / "out.png")
    assert "interrupted" in refused(out)


def test_a_recipe_of_another_craft_is_refused(files, tmp_path):
    out = painted(files, tmp_path / "out.png")
    recipe = json.loads(read_recipe(out)) | {"verb": "dream"}
    write(out, replace(read(out), recipe=json.dumps(recipe)))
    assert "dream" in refused(out)


def test_a_recipe_with_options_that_there_are_not_is_refused(files, tmp_path):
    out = painted(files, tmp_path / "out.png")
    recipe = json.loads(read_recipe(out)) | {"options": {"strenght": 1}}
    write(out, replace(read(out), recipe=json.dumps(recipe)))
    assert "strenght" in refused(out)


def test_a_resized_picture_is_refused_before_any_work(files, tmp_path):
    out = painted(files, tmp_path / "out.png")
    write(out, replace(read(out), pixels=scene(3, 20, 20)))
    events = []
    assert "resized" in refused(out, progress=events.append)
    assert not events


def test_every_step_is_told(files, tmp_path):
    events = []
    rerun(painted(files, tmp_path / "out.png"), progress=events.append)
    assert len(events) > 1


def test_the_verb_is_on_the_packages_face():
    assert impasto.rerun is rerun
