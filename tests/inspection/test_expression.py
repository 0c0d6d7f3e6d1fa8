"""Expressions: what is written is what is summed, and what cannot be is told in a line."""

import pytest
import torch

from impasto.errors import UsageError
from impasto.inspection import objectives
from impasto.inspection.expression import objective_of, parse_objectives
from impasto.inspection.units import Unit
from impasto.networks import Taps


def values(text, network, **how):
    """What each objective of the text gives on one picture."""
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return [float(one.value(Taps(network, one.taps)(picture))) for one in parse_objectives(text, network, **how)]


def labels(text, network, **how):
    return [str(one) for one in parse_objectives(text, network, **how)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu2_1:3", ["relu2_1:3"]),
        ("relu2_1:3-5", ["relu2_1:3", "relu2_1:4", "relu2_1:5"]),
        ("  relu2_1:1,5 ", ["relu2_1:1", "relu2_1:5"]),
        ("layer(relu2_1)", ["layer(relu2_1)"]),
        ("class:goldfish", ["class(goldfish)"]),
        ("output:2", ["class(tiger shark)"]),
        ("class:black-and-tan coonhound", ["class(black-and-tan coonhound)"]),
        ("relu2_1:3 + relu2_1:4", ["relu2_1:3 + relu2_1:4"]),
        ("relu2_1:3 - 0.5*relu1_1:0", ["relu2_1:3 − 0.5·relu1_1:0"]),
        ("2*relu2_1:3", ["2·relu2_1:3"]),
        ("2 * relu2_1:3", ["2·relu2_1:3"]),
        (".5*relu2_1:3", ["0.5·relu2_1:3"]),
        ("1*relu2_1:3", ["relu2_1:3"]),
        ("class:hen + 3*layer(relu1_1) - class:crane", ["class(hen) + 3·layer(relu1_1) − class(crane)"]),
    ],
)
def test_what_is_written_is_what_is_meant(text, expected, classifier):
    assert labels(text, classifier) == expected


def test_sums_are_the_sums_of_their_terms(classifier):
    one, other, whole = (values(t, classifier)[0] for t in ("relu2_1:3", "relu1_1:0", "layer(relu2_1)"))
    (found,) = values("relu2_1:3 - 0.5*relu1_1:0 + 2*layer(relu2_1)", classifier)
    assert found == pytest.approx(one - 0.5 * other + 2 * whole, rel=1e-5)
    assert values("3*relu2_1:3", classifier)[0] == pytest.approx(3 * one, rel=1e-5)
    assert values("relu1_1:0 - relu2_1:3 - relu2_1:3", classifier)[0] == pytest.approx(other - 2 * one, rel=1e-4)


def test_classes_are_scores_before_the_softmax(classifier):
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scores = classifier.module(classifier.normalise(picture))
    assert values("class:hen", classifier)[0] == pytest.approx(float(scores[:, 3].mean()), rel=1e-5)


def test_neurons_are_asked_for_everywhere_in_a_sum(classifier):
    assert labels("relu2_1:3-4", classifier, neuron=True) == ["relu2_1:3[middle]", "relu2_1:4[middle]"]
    assert labels("relu2_1:3 - relu2_1:4", classifier, neuron=True) == ["relu2_1:3[middle] − relu2_1:4[middle]"]
    assert labels("class:hen", classifier, neuron=True) == ["class(hen)"], "a score has no places"
    assert labels("head:2", classifier, neuron=True) == ["head:2[middle]"]
    assert values("relu2_1:3", classifier, neuron=True) != values("relu2_1:3", classifier)


def test_units_become_objectives(classifier):
    assert str(objective_of(Unit("output", 0), classifier)) == "class(goldfish)"
    assert str(objective_of(Unit("relu1_1", 2), classifier)) == "relu1_1:2"
    assert objective_of(Unit("relu1_1", 2), classifier, neuron=True).taps == ("relu1_1",)


def test_one_word_of_a_sum_may_hold_signs(classifier):
    """Taps and classes have hyphens; a sign is one that stands between spaces."""
    (found,) = parse_objectives("class:black-and-tan coonhound - relu2_1:3", classifier)
    assert found.taps == ("output", "relu2_1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("relu2_1:3 + relu9_1:1", "no tap 'relu9_1'"),
        ("layer(relu9_1)", "no tap 'relu9_1'"),
        ("layer()", "layer()"),
        ("layer(relu2_1", "no tap 'layer(relu2_1'"),
        ("relu2_1:3 - relu2_1:0-3", "'relu2_1:0-3' is 4 units: name one in a sum, relu2_1:0 for example"),
        ("2*relu2_1", "'relu2_1' is 32 units"),
        ("relu2_1:3 + 2*relu2_1:99", "no unit 99"),
        ("relu2_1:3 +", "names no unit"),
        ("relu2_1:3 + + relu2_1:4", "no tap"),
        ("* relu2_1:3", "no tap"),
        ("2*", "no tap"),
        ("", "no tap"),
        ("relu2_1:3 * 2", "names no unit"),
        ("class:shark - class:hen", "may be several"),
    ],
)
def test_what_means_nothing_is_told_in_one_line(text, said, classifier):
    with pytest.raises(UsageError) as caught:
        parse_objectives(text, classifier)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_layer_of_no_classifiers_output_is_told(pocket):
    with pytest.raises(UsageError, match="pocket is no classifier"):
        parse_objectives("layer(output)", pocket)


@pytest.mark.parametrize(
    "text",
    ["relu2_1:3 - 0.5*relu1_1:0", "layer(relu2_1)", "2*relu2_1:3", "relu2_1:3", "class:hen", "class:hen - 2*output:5"],
)
def test_what_is_printed_can_be_written_again(text, classifier):
    """Labels stand in recipes."""
    (label,) = labels(text, classifier)
    assert values(label, classifier) == values(text, classifier) and labels(label, classifier) == [label]


def test_an_objective_is_not_made_of_text_alone():
    assert str(objectives.channel("a", 1) + objectives.channel("b", 2)) == "a:1 + b:2"
