"""Recipes: what they remember, and finding the files they name."""

import hashlib
import shutil
from pathlib import Path

import pytest

from impasto.errors import UsageError
from impasto.runs.recipe import Input, Recipe, find, input_file, parse


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """Two files of the same size and different content."""
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    one.write_bytes(b"one")
    other.write_bytes(b"two")
    return one, other


def recorded(*paths: Path) -> list[Input]:
    return [input_file(role, path) for role, path in zip(("content", "style", "style"), paths, strict=False)]


def test_an_input_is_known_by_its_hash_and_its_absolute_path(files, monkeypatch):
    monkeypatch.chdir(files[0].parent)
    record = input_file("content", Path("one.png"))
    assert record.path == str(files[0].resolve()) and record.role == "content" and record.size == 3
    assert record.sha256 == hashlib.sha256(b"one").hexdigest()


def test_a_recipe_comes_back_from_its_text(files):
    recipe = Recipe(
        verb="stylize",
        options={"strength": 0.7, "taps": ["relu1_1"]},
        inputs=tuple(recorded(*files)),
        networks={"pocket": "abc"},
        made_with={"torch": "2"},
        losses={"style": 0.125},
        finished=False,
    )
    assert parse(recipe.model_dump_json(exclude_defaults=True), Path("x.png")) == recipe


def test_a_picture_without_a_recipe_is_named():
    with pytest.raises(UsageError, match=r"plain\.png carries no recipe"):
        parse(None, Path("plain.png"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"verb": "stylize", "surprise": 1}', '{"verb": 3}'])
def test_a_recipe_that_is_not_ours_is_refused_in_one_line(text):
    with pytest.raises(UsageError, match=r"odd\.png") as caught:
        parse(text, Path("odd.png"))
    assert "\n" not in str(caught.value)


def test_unchanged_files_are_found_where_they_were(files):
    wanted = recorded(*files)
    assert find(wanted) == {wanted[0].sha256: files[0], wanted[1].sha256: files[1]}


def test_a_moved_and_renamed_file_is_found_below_a_folder(files, tmp_path):
    wanted = recorded(*files)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "decoy.png").write_bytes(b"six")  # the size of the one that is wanted, not its content
    shutil.move(files[0], deep / "renamed.bin")
    assert find(wanted, [tmp_path / "a"])[wanted[0].sha256] == deep / "renamed.bin"


def test_a_file_in_its_old_place_is_not_looked_for_elsewhere(files, tmp_path):
    wanted = recorded(files[0])
    (tmp_path / "copies").mkdir()
    shutil.copy(files[0], tmp_path / "copies")
    assert find(wanted, [tmp_path / "copies"]) == {wanted[0].sha256: files[0]}


def test_one_file_in_two_roles_is_found_once(files):
    wanted = recorded(files[0], files[0])
    assert find(wanted) == {wanted[0].sha256: files[0]}


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"ONE"), lambda path: path.unlink()])
def test_only_the_missing_or_changed_file_is_named(files, change):
    wanted = recorded(*files)
    change(files[0])
    with pytest.raises(UsageError) as caught:
        find(wanted)
    assert f"content {files[0]}" in str(caught.value) and str(files[1]) not in str(caught.value)


def test_a_changed_file_whose_old_self_is_elsewhere_is_found_there(files, tmp_path):
    wanted = recorded(*files)
    (tmp_path / "old").mkdir()
    shutil.copy(files[0], tmp_path / "old" / "one.png")
    files[0].write_bytes(b"ONE")
    assert find(wanted, [tmp_path / "old"])[wanted[0].sha256] == tmp_path / "old" / "one.png"


def test_searching_in_what_is_no_folder_is_refused(files, tmp_path):
    wanted = recorded(files[0])
    files[0].unlink()
    with pytest.raises(UsageError, match="not a folder"):
        find(wanted, [tmp_path / "nowhere"])


def test_searching_walks_past_broken_links(files, tmp_path):
    wanted = recorded(files[0])
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "broken").symlink_to(tmp_path / "nothing")
    shutil.move(files[0], tmp_path / "links" / "z.png")
    assert find(wanted, [tmp_path / "links"])[wanted[0].sha256] == tmp_path / "links" / "z.png"
