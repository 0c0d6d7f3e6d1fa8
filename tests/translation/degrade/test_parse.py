"""Recipes as a person writes them, and what is said of those that are wrong."""

from pathlib import Path

import pytest

from impasto.errors import UsageError
from impasto.translation.degrade import Recipe, parse
from impasto.translation.degrade.operations import OPERATIONS, Range
from impasto.translation.degrade.presets import PRESETS
from impasto.translation.degrade.recipe import Group, Step

TEXTS = [
    "down:4,kernel=area jpeg:30-95",
    "noise:0-25,gray=0.4@0.5 jpeg:30",
    "poisson:0.05~3",
    "blur:0.2-3,across=0.2-1.5,angle=-180-180,profile=generalised,beta=0.5-4,radius=3-10",
    "one-of(noise:5 | poisson:1 | gray jpeg:50)@0.25",
    "one-of(3 noise:5 | 0.5 jpeg:50)",
    "resize:0.3-1.2,of=2,kernel=area/bilinear fit:2,kernel=bicubic",
    "shuffle(fit:4 sinc:0.5-1@0.8 | jpeg:30-95) round",
    "one-of(one-of(gray | round) | shuffle(noise:1 | jpeg:9))",
    "min-side:96 jpeg:60 enlarge:bilinear",
    "text:12-40,count=2,opacity=0.1-0.333,colour=white/black watermark:0.5,layout=tiled,mark=logo",
]


def step(text: str) -> Step:
    (only,) = parse(text).steps
    assert isinstance(only, Step)
    return only


class TestText:
    @pytest.mark.parametrize("text", TEXTS)
    def test_a_recipe_says_itself_as_it_is_read(self, text: str) -> None:
        recipe = parse(text)
        assert parse(str(recipe)) == recipe
        assert len(str(recipe)) <= len(text) + 40

    def test_values_are_numbers_ranges_and_words(self) -> None:
        one = step("blur:0.5~4,angle=-30--10,profile=gaussian/plateau@0.25")
        assert one.parameters["sigma"] == Range(low=0.5, high=4, log=True)
        assert one.parameters["angle"] == Range(low=-30, high=-10)
        assert one.parameters["profile"] == ("gaussian", "plateau")
        assert one.parameters["across"] == 0.0
        assert one.probability == 0.25

    @pytest.mark.parametrize("name", OPERATIONS)
    def test_what_is_usual_is_within_the_bounds(self, name: str) -> None:
        usual = "".join(f",{key}={one.default}" for key, one in OPERATIONS[name].parameters.items())
        assert parse(f"{name} enlarge").steps[0] == parse(f"{name}{usual} enlarge").steps[0]

    def test_groups_hold_sequences_with_weights(self) -> None:
        (group,) = parse("one-of(3 noise:5 gray | jpeg:50)@0.5").steps
        assert isinstance(group, Group)
        assert [one.weight for one in group.members] == [3, 1]
        assert [len(one.steps) for one in group.members] == [2, 1]
        assert group.probability == 0.5

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "empty.*down:4"),
            ("blurr:3", "'blurr:3': there is no operation 'blurr': there are .*blur"),
            ("crapify", "recipes crappify"),
            ("gray crappify", "'crappify': .* whole recipe"),
            ("gray jpeg:200", "'jpeg:200': quality is 200: .* from 1 to 100.*jpeg:10-95"),
            ("jpeg:2.5", "quality is 2.5: it takes a whole number"),
            ("jpeg:nan", "quality is 'nan'"),
            ("jpeg:", "quality is ''"),
            ("jpeg:95-30", "from high to low: write 30-95"),
            ("noise:0~5", "above 0"),
            ("noise:-3", "sigma is -3"),
            ("noise:5,gry=1", "no parameter 'gry': there are sigma, gray"),
            ("noise:5,gray=2", "gray is 2: it takes how often, from 0 to 1, such as noise,gray=0.5"),
            ("noise:5,gray=0-1", "gray is 0-1"),
            ("noise:5,gray=1,gray=0", "gray is given twice"),
            ("noise:5,sigma=4", "sigma is given twice"),
            ("gray:3", "write gray alone"),
            ("gray,size=3", "it has none, write the name alone"),
            ("down:4,area", "'area' has no name: write scale=2, kernel=bicubic"),
            ("down:4,kernel=cubic", "kernel is 'cubic': it takes bicubic or bilinear or area"),
            ("down:4,kernel=area/area", "kernel is 'area/area'"),
            ("noise:5@2", "'2' is no probability.*noise:5@0.5"),
            ("noise:5@", "'' is no probability"),
            ("one-of(noise | jpeg", "one-of\\( is not closed"),
            ("one-of(", "one-of\\( is not closed"),
            ("one-of(noise | )", "part of one-of.* is empty"),
            ("shuffle(2 noise | jpeg)", "no operation '2'"),
            ("one-of(0 noise | jpeg)", "weight is 0"),
            ("one-of(noise | jpeg)@x", "'x' is no probability"),
            ("noise)", "'\\)' outside of any group"),
            ("(noise)", "write one-of\\( or shuffle\\("),
            ("shuffle(noise|jpeg|gray|text|round|blur)", "5 parts at most, not 6"),
            ("resize:0.5-1", "add enlarge"),
            ("down:4@0.5", "add enlarge"),
            ("one-of(down:2 | down:4)", "add enlarge"),
            ("min-side:96", "add enlarge"),
            ("resize:1.5", "2/3|3/2"),
        ],
    )
    def test_a_wrong_recipe_gets_one_line_with_the_right_form(self, text: str, said: str) -> None:
        with pytest.raises(UsageError, match=said) as error:
            parse(text)
        assert "\n" not in str(error.value)


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_every_preset_is_a_recipe_that_round_trips(self, name: str) -> None:
        recipe = parse(name, scale=3 if PRESETS[name].reduces else None)
        assert parse(str(recipe)).steps == recipe.steps
        assert Recipe.from_json(recipe.to_json()) == recipe
        assert recipe.name is not None and recipe.name.startswith(name)
        assert recipe.scale == (3 if PRESETS[name].reduces else 1)

    def test_a_number_after_the_name_is_the_factor(self) -> None:
        assert parse("bicubic:3").scale == 3
        assert str(parse("crappify:2")).startswith("down:2,")
        assert parse("real-esrgan").scale == 4
        assert parse("real-esrgan:2").scale == 2

    def test_names_of_steps_alone_mean_the_preset_and_with_a_value_the_step(self) -> None:
        assert parse("jpeg").name == "jpeg"
        assert parse("jpeg:30").name is None
        assert parse("jpeg").steps == parse("jpeg gray").steps[:1]

    @pytest.mark.parametrize("text", ["bicubic", "bicubic:", "bicubic:x", "bicubic:0", "bicubic:1.5", "real-esrgan:99"])
    def test_a_missing_or_senseless_scale_is_asked_for(self, text: str) -> None:
        with pytest.raises(UsageError, match=f"{text.partition(':')[0]}:2"):
            parse(text)

    def test_another_scale_than_is_wanted_is_an_error(self) -> None:
        with pytest.raises(UsageError, match="reduces pictures 4 times, not 2 times"):
            parse("down:4 jpeg", scale=2)
        with pytest.raises(UsageError, match="1 times, not 2"):
            parse("crappify", scale=2)
        with pytest.raises(UsageError, match="not 2"):
            parse(parse("bicubic:4"), scale=2)


class TestFiles:
    @pytest.mark.parametrize(
        "content",
        [
            "- down:4,kernel=bilinear\n- jpeg:60\n- enlarge:bilinear\n",
            "steps: down:4,kernel=bilinear jpeg:60 enlarge:bilinear\n",
            "name: old\nsteps:\n  - operation: down\n    parameters: {scale: 4, kernel: bilinear}\n"
            "  - jpeg:60 enlarge:bilinear\n",
        ],
    )
    def test_a_file_holds_steps_as_text_or_as_json(self, content: str, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(content)
        assert parse(file).steps == parse("crappify").steps
        assert parse(str(file)).name == ("old" if "old" in content else "mine")

    def test_what_to_json_gave_is_read_from_a_json_file(self, tmp_path: Path) -> None:
        import json

        file = tmp_path / "one.json"
        file.write_text(json.dumps(parse("real-esrgan").to_json()))
        assert parse(file) == parse("real-esrgan")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("- [", "not YAML at line"),
            ("", "holds no steps"),
            ("steps: []", "holds no steps"),
            ("5", "holds no steps"),
            ("- jpeg:300", "mine.yaml: recipe step 'jpeg:300'"),
            ("- {operation: jpg}", "no operation 'jpg'"),
            ("- {operation: jpeg, parameters: {quality: {low: 3}}}", "quality is"),
            ("- {operation: jpeg, often: 3}", "often"),
            ("- {group: one-of, members: []}", "members"),
            ("version: 2\nsteps: [gray]", "version 2, not 1"),
            ("steps: [gray]\nfoo: 1", "foo"),
        ],
    )
    def test_a_wrong_file_gets_one_line_with_its_name(self, content: str, said: str, tmp_path: Path) -> None:
        file = tmp_path / "mine.yaml"
        file.write_text(content)
        with pytest.raises(UsageError, match=said) as error:
            parse(file)
        assert "mine.yaml" in str(error.value) and "\n" not in str(error.value)

    def test_a_missing_file_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="cannot be read: No such file"):
            parse(tmp_path / "none.yaml")
