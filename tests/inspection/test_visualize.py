"""Visualization: pictures of units, side by side, with what they are called, and a recipe inside."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.images import read, read_recipe
from impasto.inspection.objectives import Objective, channel, class_score
from impasto.inspection.options import VisualizationOptions
from impasto.inspection.units import parse_units
from impasto.inspection.visualize import Visualization, rendering, visualize
from impasto.networks import Network, Taps

QUICK = {"size": 32, "steps": 3}


@pytest.fixture
def other(classifier):
    """The same network after something like a training."""
    module = type(classifier.module)().eval().requires_grad_(False)
    module.load_state_dict(classifier.module.state_dict())
    chance = torch.Generator().manual_seed(3)
    for value in module.parameters():
        value.mul_(1 + 0.3 * torch.randn(value.shape, generator=chance))
    return replace(classifier, name="tuned", module=module, sha256="1" * 64)


# What is made


def test_every_unit_has_a_picture_a_value_and_a_prediction(classifier):
    made = visualize("relu2_1:3", "relu2_1:8-9", network=classifier, **QUICK)
    assert isinstance(made, Visualization) and made.finished and made.compared == ()
    assert [one.label for one in made.units] == ["relu2_1:3", "relu2_1:8", "relu2_1:9"]
    for one in made.units:
        assert one.pictures.shape == (1, 3, 32, 32) and one.pictures.device.type == "cpu"
        scores = Taps(classifier, ["output"])(one.pictures)["output"]
        assert one.predicted == (classifier.classes[int(scores.argmax())],)
        assert isinstance(one.value, float) and one.value != 0
    assert made.tensor.shape == (3, 3, 32, 32) and torch.equal(made.tensor[1:2], made.units[1].pictures)


def test_a_network_without_classes_predicts_nothing(pocket):
    assert visualize("relu1_1:1", network=pocket, **QUICK).units[0].predicted == ()


def test_what_a_picture_is_taken_for_is_left_out_where_it_is_too_small_for_the_whole_network():
    """Its own layer is reached; the work is not thrown away for a prediction."""
    torch.manual_seed(0)

    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.deep, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 40), nn.Flatten()

        def forward(self, x):
            return self.head(self.deep(self.first(x)))

    network = Network("deep", Deep().eval().requires_grad_(False), classes=("a", "b"))
    made = visualize("first:1", network=network, size=32, steps=2)
    assert made.units[0].predicted == () and made.finished
    assert visualize("first:1", network=network, size=42, steps=2).units[0].predicted[0] in ("a", "b")


@pytest.mark.parametrize(
    ("units", "labels"),
    [
        (("class:hen", "output:1"), ["class(hen)", "class(great white shark)"]),
        (("head:2",), ["2 tiger shark"]),
        (("relu2_1:3 - 0.5*relu1_1:0",), ["relu2_1:3 − 0.5·relu1_1:0"]),
        (("layer(relu1_1)",), ["layer(relu1_1)"]),
        ((channel("relu1_1", 2), -channel("relu1_1", 2)), ["relu1_1:2", "−relu1_1:2"]),
        (("pixels:0",), ["pixels:0"]),
    ],
)
def test_units_are_called_what_they_are(units, labels, classifier):
    assert [one.label for one in visualize(*units, network=classifier, **QUICK).units] == labels


def test_neurons_are_those_at_the_middle(pocket):
    made = visualize("relu2_1:3", network=pocket, neuron=True, size=48, steps=10, robustness="none", rate=0.2)
    assert made.units[0].label == "relu2_1:3[middle]"
    apart = (
        (made.tensor - visualize("relu2_1:3", network=pocket, neuron=True, size=48, steps=1).tensor).abs().mean(1)[0]
    )
    assert apart[16:32, 16:32].mean() > apart.mean()


def test_batches_do_not_matter(pocket):
    """But for rounding."""
    whole, parts = (visualize("relu1_1:0-4", network=pocket, batch=n, **QUICK).tensor for n in (16, 2))
    assert whole.shape == (5, 3, 32, 32) and (whole - parts).abs().mean() < 2e-3


def test_options_come_as_a_model_and_as_keywords_over_it(pocket):
    options = VisualizationOptions(size=48, steps=2, seed=5, robustness="none")
    one = visualize("relu1_1:1", network=pocket, options=options, size=32)
    other = visualize("relu1_1:1", network=pocket, size=32, steps=2, seed=5, robustness="none")
    assert torch.equal(one.tensor, other.tensor) and one.tensor.shape[-1] == 32
    how = rendering(VisualizationOptions(size=20, alpha=True, precision="bf16-mixed", rescue=3))
    assert (how.size, how.alpha, how.precision, how.rescue) == ((20, 20), True, "bf16-mixed", 3)


def test_a_network_is_a_name_too():
    made = visualize("relu1_1:1", network="pocket", **QUICK)
    assert torch.equal(made.tensor, visualize("relu1_1:1", **QUICK).tensor)


# Several pictures of a unit


@pytest.mark.parametrize("unit", ["relu2_1:3", "class:hen", "head:1", "relu2_1:3 + class:hen", "layer(conv2_1)"])
def test_several_pictures_of_one_unit_stand_in_its_row(unit, classifier):
    made = visualize(unit, "relu1_1:1", network=classifier, diversity=3, **QUICK)
    assert [one.pictures.shape for one in made.units] == [(3, 3, 32, 32)] * 2
    assert all(len(one.predicted) == 3 for one in made.units)
    assert "diversity" not in made.units[0].label
    rows = made.rows()
    assert [[label for label, _ in row] for row in rows] == [[made.units[0].label, "", ""], ["relu1_1:1", "", ""]]
    assert torch.equal(rows[0][2][1], made.units[0].pictures[2:3])


def test_where_scores_must_differ_is_told_where_the_network_does_not(classifier):
    dumb = replace(classifier, style_taps=())
    with pytest.raises(UsageError, match="fish does not tell where .* must differ: leave out --diversity"):
        visualize("class:hen", network=dumb, diversity=2, **QUICK)
    assert visualize("relu2_1:1", network=dumb, diversity=2, **QUICK).finished


def test_the_more_diversity_counts_the_more_they_differ(pocket):
    from impasto.inspection.objectives import diversity

    def likeness(weight):
        made = visualize("relu2_1:3", network=pocket, diversity=3, diversity_weight=weight, size=32, steps=30)
        return -float(diversity("relu2_1").value(Taps(pocket, ["relu2_1"])(made.tensor)))

    assert likeness(6.0) < likeness(0.0) - 0.05


# Two networks


def test_another_network_stands_below_the_first(classifier, other):
    made = visualize("relu2_1:0-8", network=classifier, compare=other, **QUICK)
    assert [one.label for one in made.compared] == [one.label for one in made.units]
    alone = visualize("relu2_1:0-8", network=other, **QUICK)
    assert (made.compared[3].pictures - alone.units[3].pictures).abs().mean() < 2e-3
    assert not torch.allclose(made.units[3].pictures, made.compared[3].pictures, atol=1e-2)
    labels = [[label for label, _ in row] for row in made.rows()]
    eight, last = [f"relu2_1:{k}" for k in range(8)], ["relu2_1:8"]
    assert labels == [eight, eight, last, last]
    assert made.recipe.networks == {"fish": "0" * 64, "tuned (compared)": "1" * 64}
    assert made.tensor.shape[0] == 9, "of the first"


def test_another_network_with_several_pictures_of_each(classifier, other):
    made = visualize("relu2_1:0-1", network=classifier, compare=other, diversity=2, **QUICK)
    labels = [[label for label, _ in row] for row in made.rows()]
    assert labels == [["relu2_1:0", ""], ["relu2_1:0", ""], ["relu2_1:1", ""], ["relu2_1:1", ""]]
    assert torch.equal(made.rows()[3][1][1], made.compared[1].pictures[1:2])


def test_a_unit_that_the_other_network_has_not_is_told_before_any_work(classifier, pocket):
    told = []
    with pytest.raises(UsageError, match="pocket is no classifier"):
        visualize("class:hen", network=classifier, compare=pocket, progress=lambda *what: told.append(what), **QUICK)
    assert told == []


# The sheet


def test_one_picture_alone_is_itself(pocket, tmp_path):
    made = visualize("relu1_1:1", network=pocket, **QUICK)
    path = made.save(tmp_path / "unit.png")
    again = read(path)
    assert (again.height, again.width) == (32, 32) and (again.pixels - made.tensor).abs().max() <= 0.5 / 255 + 1e-6
    recipe = json.loads(read_recipe(path) or "")
    assert recipe["verb"] == "visualize" and recipe["options"]["units"] == ["relu1_1:1"]
    assert recipe["options"]["size"] == 32 and recipe["networks"] == {"pocket": pocket.sha256}
    assert "seed" not in recipe["options"], "defaults are not repeated"
    assert made._repr_png_()[:4] == b"\x89PNG"


def test_transparency_is_kept_in_one_and_shown_on_white_in_several(pocket, tmp_path):
    alone = visualize("relu1_1:1", network=pocket, alpha=True, **QUICK)
    assert alone.tensor.shape == (1, 4, 32, 32)
    kept = read(alone.save(tmp_path / "one.png"))
    assert kept.alpha is not None and (kept.alpha - alone.tensor[:, 3:]).abs().max() < 0.01
    several = visualize("relu1_1:1-2", network=pocket, alpha=True, **QUICK)
    (row,) = several.rows()
    expected = (
        several.units[0].pictures[:, :3] * several.units[0].pictures[:, 3:] + 1 - several.units[0].pictures[:, 3:]
    )
    assert torch.allclose(row[0][1], expected) and row[0][1].shape == (1, 3, 32, 32)
    sheet = read(several.save(tmp_path / "two.png"))
    assert sheet.alpha is None and sheet.height > 32 and sheet.width > 64
    alone.save(tmp_path / "one.jpg")
    assert read(tmp_path / "one.jpg").width == 32


def test_a_sheet_holds_eight_in_a_row(pocket, tmp_path):
    made = visualize("relu1_1:0-8", network=pocket, size=16, steps=1)
    assert [len(row) for row in made.rows()] == [8, 1]
    sheet = made.sheet()
    assert sheet.height > 2 * 16 and sheet.width > 8 * 16 and sheet.recipe
    assert made.save(str(tmp_path / "sheet.webp")) == tmp_path / "sheet.webp"


# Interrupts and progress


def test_progress_goes_through_all_batches_and_networks(classifier, other):
    told = []
    visualize("relu1_1:0-2", network=classifier, compare=other, batch=2, progress=lambda *w: told.append(w), **QUICK)
    parts = [part for part, _ in told]
    assert parts == sorted(parts) and parts[-1] == pytest.approx(1) and len(parts) == 4 * 3
    assert told[0][1] == "unit 1 to 2 of 6, step 1 of 3" and told[-1][1] == "unit 6 to 6 of 6, step 3 of 3"


def stop_at(words):
    def tell(part, said):
        if said.startswith(words):
            raise KeyboardInterrupt

    return tell


@pytest.mark.parametrize(
    ("words", "units", "compared"),
    [
        ("unit 1 to 2 of 6, step 2", 2, 0),
        ("unit 3 to 3 of 6, step 1", 3, 0),
        ("unit 4 to 5 of 6, step 2", 3, 2),
    ],
)
def test_an_interrupt_gives_the_pictures_so_far(words, units, compared, classifier, other, tmp_path):
    made = visualize("relu1_1:0-2", network=classifier, compare=other, batch=2, progress=stop_at(words), **QUICK)
    assert not made.finished and not made.recipe.finished
    assert len(made.units) == units and len(made.compared) == compared
    assert read(made.save(tmp_path / "some.png")).width > 32
    several = visualize(
        "relu1_1:0-2", network=classifier, compare=other, batch=2, diversity=2, progress=stop_at("unit 4 to 4"), **QUICK
    )
    assert [len(row) for row in several.rows()] == [2] * 4 and not several.finished


def test_an_interrupt_before_the_first_step_of_a_later_batch_keeps_what_there_is(pocket):
    calls = [0]

    def value(found):
        calls[0] += 1
        if calls[0] == 4:  # in the first step of the second batch
            raise KeyboardInterrupt
        return found["pixels"].mean()

    light = Objective("light", ("pixels",), value)
    made = visualize(light, light, network=pocket, batch=1, **QUICK)
    assert not made.finished and len(made.units) == 1


def test_an_interrupt_before_any_picture_is_passed_on(pocket):
    def value(found):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        visualize(Objective("none", ("pixels",), value), network=pocket, **QUICK)


# What goes wrong


@pytest.mark.parametrize(
    ("units", "fields", "said"),
    [
        ((), {}, "no unit is named"),
        (("relu9_1:3",), {}, "pocket has no tap 'relu9_1': it has"),
        (("relu2_1:32",), {}, "relu2_1 of pocket has no unit 32: they are 0 to 31"),
        (("class:hen",), {}, "pocket is no classifier"),
        ((class_score(3),), {}, "pocket is no classifier"),
        ((channel("relu9_1", 3),), {}, "no tap 'relu9_1'"),
        ((channel("relu2_1", 32),), {}, "relu2_1 has no unit 32"),
        (("relu2_1:3",), {"size": 15}, "size"),
        (("relu2_1:3",), {"steps": 0}, "steps"),
        (("relu2_1:3",), {"sise": 64}, "sise"),
        (("relu2_1:3",), {"robustness": "some"}, "robustness"),
        (("relu2_1:3",), {"rate": float("nan")}, "rate"),
        (("relu2_1:3",), {"network": "pockett"}, "pockett"),
        (("relu2_1:3",), {"compare": "pockett"}, "pockett"),
        (("relu2_1:3",), {"weights": "none.pth"}, "none.pth"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(units, fields, said):
    with pytest.raises(UsageError) as caught:
        visualize(*units, **(QUICK | fields))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_network_without_any_convolution_works_or_says_why():
    """A unit of a linear layer, and one of a tap that is none."""
    torch.manual_seed(0)
    flat = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 5)).eval().requires_grad_(False)
    network = Network("flat", flat)
    made = visualize("2:1", network=network, size=16, steps=3)
    assert [one.label for one in made.units] == ["2:1"] and made.tensor.isfinite().all()
    with pytest.raises(UsageError, match="has no tap 'features"):
        visualize("features.1:3", network=network, **QUICK)


def test_infinite_activations_are_told(pocket):
    wild = Objective("wild", ("relu1_1",), lambda found: found["relu1_1"].mean() / 0)
    with pytest.raises(ImpastoError, match="infinite"):
        visualize(wild, network=pocket, **QUICK)


# Real weights


@pytest.mark.realdata
def test_squeezenets_classes_are_found_again_in_their_pictures(shared):
    network = networks.load("squeezenet1_0", weights=shared / "weights" / "squeezenet1_0.safetensors")
    assert [str(unit) for unit in parse_units("class:goldfish", network)] == ["output:1"]
    made = visualize("class:goldfish", "classifier.1:980", network=network, size=96, steps=40)
    assert [one.label for one in made.units] == ["class(goldfish)", "980 volcano"]
    assert [one.predicted for one in made.units] == [("goldfish",), ("volcano",)]
