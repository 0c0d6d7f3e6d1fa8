"""Units: what words mean, and the line that is said when they mean nothing."""

from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from impasto.errors import UsageError
from impasto.inspection.units import Unit, channels, find_class, name_of, parse_units
from impasto.networks import Network


def words(text, network):
    return [str(unit) for unit in parse_units(text, network)]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("relu2_1:3", ["relu2_1:3"]),
        ("relu2_1:0", ["relu2_1:0"]),
        ("relu2_1:31", ["relu2_1:31"]),
        ("relu2_1:30-31", ["relu2_1:30", "relu2_1:31"]),
        ("relu2_1:4-4", ["relu2_1:4"]),
        ("relu2_1:1,5, 9", ["relu2_1:1", "relu2_1:5", "relu2_1:9"]),
        ("relu2_1:9,0-1", ["relu2_1:9", "relu2_1:0", "relu2_1:1"]),
        ("features.3:7", ["features.3:7"]),
        ("pixels:2", ["pixels:2"]),
        ("output:0-1", ["output:0", "output:1"]),
        ("output:1", ["output:1"]),
        ("output:0,2", ["output:0", "output:2"]),
        ("class:0,2-3", ["output:0", "output:2", "output:3"]),
        ("class:goldfish", ["output:0"]),
        ("class:great white", ["output:1"]),
        ("output:HEN", ["output:3"]),
        ("class:black-and-tan coonhound", ["output:4"]),
        ("class:tan", ["output:4"]),
        ("class:machine", ["output:6"]),
        ("head:2", ["head:2"]),
    ],
)
def test_words_mean_units(text, units, classifier):
    assert words(text, classifier) == units


def test_a_tap_alone_is_all_of_it(classifier):
    assert words("relu2_1", classifier) == [f"relu2_1:{k}" for k in range(32)]
    assert words("output", classifier) == words("class", classifier) == [f"output:{k}" for k in range(7)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("relu2-1:3", "fish has no tap 'relu2-1': it has relu2_1"),
        ("relu9_1", "no tap 'relu9_1'"),
        ("", "no tap ''"),
        (":3", "no tap ''"),
        ("relu2_1:32", "relu2_1 of fish has no unit 32: they are 0 to 31"),
        ("relu2_1:30-32", "has no unit 30-32: they are 0 to 31"),
        ("relu2_1:5-3", "runs backwards: write 3-5"),
        ("relu2_1:-1", "names no unit: write relu2_1:42, relu2_1:0-15 or relu2_1:1,5,9"),
        ("relu2_1:1,,2", "names no unit"),
        ("relu2_1:three", "names no unit"),
        ("relu2_1:1.5", "names no unit"),
        ("relu2_1:²", "names no unit"),
        ("output:7", "fish has no class 7: they are 0 to 6"),
        ("output:5-7", "no unit 5-7: they are 0 to 6"),
        ("class:²", "no class '²'"),
        ("class:goldfisch", "no class 'goldfisch': the nearest are goldfish"),
        ("class:shark", "may be several classes of fish: 1 great white shark, 2 tiger shark; give a number"),
        ("class: ", "no class ''"),
        ("class:-1", "no class '-1'"),
    ],
)
def test_what_means_nothing_is_told_in_one_line(text, said, classifier):
    with pytest.raises(UsageError) as caught:
        parse_units(text, classifier)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["output:1", "class:goldfish", "output", "class"])
def test_a_network_without_classes_says_so(text, pocket):
    with pytest.raises(UsageError, match="pocket is no classifier"):
        parse_units(text, pocket)


def test_a_mistyped_tap_lists_the_nearest_of_many(classifier):
    with pytest.raises(UsageError) as caught:
        parse_units("feature.7:1", classifier)
    listed = str(caught.value).split("it has ")[1].split(" … ")[0].split(", ")
    assert "features.7" in listed and set(listed) <= set(classifier.tap_names())


def test_units_print_compare_and_sort():
    assert str(Unit("features.7", 42)) == "features.7:42"
    assert sorted([Unit("b", 1), Unit("a", 2), Unit("a", 1)]) == [Unit("a", 1), Unit("a", 2), Unit("b", 1)]


# Channels


def test_channels_are_counted(classifier, pocket):
    assert [channels(pocket, tap) for tap in ("relu1_1", "relu2_1", "relu4_1", "pixels")] == [16, 32, 128, 3]
    assert channels(classifier, "output") == channels(classifier, "head") == 7


def test_channels_of_a_network_that_takes_no_small_pictures_are_counted():
    torch.manual_seed(0)
    picky = nn.Sequential(nn.Conv2d(3, 5, 7), nn.MaxPool2d(16), nn.Conv2d(5, 4, 9)).requires_grad_(False)
    network = Network("picky", picky)
    assert channels(network, "2") == 4
    pickier = Network("pickier", nn.Sequential(nn.MaxPool2d(64), nn.Conv2d(3, 4, 9)))
    with pytest.raises(UsageError, match="too small for pickier"):
        channels(pickier, "1")


def test_channels_of_a_transformer_are_those_of_its_tokens():
    torch.manual_seed(0)
    module = timm.create_model("test_vit", dynamic_img_size=True).eval().requires_grad_(False)
    network = Network("vit", module, classes=tuple(str(k) for k in range(1000)))
    assert channels(network, "blocks.1") == module.embed_dim
    assert words("blocks.1:0-2", network) == ["blocks.1:0", "blocks.1:1", "blocks.1:2"]


def test_values_that_are_no_channels_are_told():
    network = Network("flat", nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(2)))
    with pytest.raises(UsageError, match="1 of flat has no channels: choose a layer that gives maps or scores"):
        parse_units("1:0", network)


def test_counting_channels_leaves_no_gradients_and_works_under_no_grad(pocket):
    with torch.no_grad():
        assert channels(pocket, "relu2_1") == 32
    assert not any(p.requires_grad for p in pocket.module.parameters())


# Classes


def test_a_class_has_a_number_a_name_or_a_part_of_it(classifier):
    assert [find_class(classifier, one) for one in ("goldfish", 1, "2", " hen ", "Tiger", "coonhound")] == [
        0,
        1,
        2,
        3,
        2,
        4,
    ]


def test_a_whole_name_goes_before_parts_of_others(classifier):
    assert find_class(classifier, "crane") == 5
    assert find_class(classifier, "crane, machine") == 6


def test_a_name_of_several_parts_is_known_by_each(classifier):
    wordy = replace(classifier, classes=("goldfish, Carassius auratus", "gold, the metal", "fish, any"))
    assert find_class(wordy, "carassius auratus") == 0
    assert find_class(wordy, "fish") == 2, "a part that is exactly that goes before words that hold it"
    with pytest.raises(UsageError, match="may be several"):
        find_class(wordy, "gol")


def test_two_classes_of_one_name_are_told_apart_by_number(classifier):
    twice = replace(classifier, classes=("hen", "crane", "ox", "crane"))
    with pytest.raises(UsageError, match="'crane' may be several classes of fish: 1 crane, 3 crane; give a number"):
        find_class(twice, "crane")
    assert find_class(twice, 3) == 3


def test_digits_are_names_where_classes_are_called_so(classifier):
    digits = replace(classifier, classes=("3", "1", "2"))
    assert find_class(digits, "3") == 0 and find_class(digits, "2") == 2 and find_class(digits, "0") == 0


def test_a_class_of_no_classifier(pocket):
    with pytest.raises(UsageError, match="pocket is no classifier"):
        find_class(pocket, 1)


# Names


def test_scores_are_called_by_their_classes_and_others_by_nothing(classifier, pocket):
    assert name_of(classifier, Unit("output", 1)) == name_of(classifier, Unit("head", 1)) == "great white shark"
    assert name_of(classifier, Unit("relu4_1", 1)) == name_of(classifier, Unit("pixels", 1)) == ""
    assert name_of(pocket, Unit("relu4_1", 1)) == name_of(pocket, Unit("features.10", 1)) == ""
    assert name_of(classifier, Unit("head", 99)) == ""
