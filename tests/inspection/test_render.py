"""Rendering: pictures come to excite what they are to excite, each as if it were alone, and the network is left alone."""

from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from torch import nn

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.inspection.objectives import Objective, channel, class_score, direction, diverse, layer, neuron
from impasto.inspection.parameterisation import canvas, pictures
from impasto.inspection.render import Rendering, render
from impasto.inspection.robustness import MOTIONS, middle
from impasto.networks import Network, Taps

QUICK = Rendering(size=(24, 24), steps=24)


def value(network, objective, shown):
    """What an objective reaches on pictures, seen straight."""
    return float(objective.value(Taps(network, objective.taps)(shown)))


def start(how, count=1):
    """The pictures before the first step."""
    margin = MOTIONS[how.robustness].margin(how.size)
    whole = (how.size[0] + 2 * margin, how.size[1] + 2 * margin)
    drawn = canvas(how.parameterisation, count, whole, alpha=how.alpha, seed=how.seed)
    return middle(pictures(drawn.draw(), how.decorrelate), how.size).detach()


# It climbs


@pytest.mark.parametrize("parameterisation", ["fourier", "pixels", "cppn"])
@pytest.mark.parametrize("robustness", ["full", "none"])
def test_an_objective_rises_far_above_where_it_began(parameterisation, robustness, pocket):
    how = replace(QUICK, parameterisation=parameterisation, robustness=robustness, steps=40)
    wanted = channel("relu2_1", 3)
    made = render(pocket, [wanted], how)
    began, reached = value(pocket, wanted, start(how)), value(pocket, wanted, made.pictures)
    noise = torch.rand(8, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    assert reached > 10 * began and reached > 1.5 * value(pocket, wanted, noise)
    assert float(made.values[0]) > began
    assert made.finished and made.pictures.shape == (1, 3, 24, 24)
    assert made.pictures.min() >= 0 and made.pictures.max() <= 1 and made.pictures.isfinite().all()


@pytest.mark.parametrize(
    "wanted",
    [
        neuron("relu2_1", 5),
        layer("relu1_1"),
        -channel("conv2_1", 3),
        channel("relu2_1", 3) - 2 * channel("relu2_1", 4),
        direction("relu2_1", torch.linspace(-1, 1, 32), cosine=1.0),
        Objective("darkness", ("pixels",), lambda found: -found["pixels"].mean()),
    ],
    ids=str,
)
def test_any_objective_can_be_climbed(wanted, pocket):
    made = render(pocket, [wanted], QUICK)
    began, reached = value(pocket, wanted, start(QUICK)), value(pocket, wanted, made.pictures)
    assert reached > began + 0.1 * abs(began)


def test_a_class_rises_above_all_others(classifier):
    made = render(classifier, [class_score(k) for k in range(3)], replace(QUICK, steps=40))
    scores = Taps(classifier, ["output"])(made.pictures)["output"]
    assert scores.argmax(dim=1).tolist() == [0, 1, 2]


def test_several_sizes_and_shapes(pocket):
    for size in ((17, 40), (33, 18)):
        made = render(pocket, [channel("relu1_1", 1)], Rendering(size=size, steps=2))
        assert made.pictures.shape == (1, 3, *size)


# Batches


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("parameterisation", ["fourier", "pixels", "cppn"])
def test_a_unit_looks_the_same_alone_and_among_others(parameterisation, alpha, pocket):
    """Only rounding differs, of convolutions of another batch, and Adam enlarges it where gradients are tiny."""
    how = replace(QUICK, steps=8, parameterisation=parameterisation, alpha=alpha)
    wanted = [channel("relu2_1", k) for k in (3, 8)]
    together = render(pocket, wanted, how)
    for k, one in enumerate(wanted):
        alone = render(pocket, [one], how)
        apart = (alone.pictures[0] - together.pictures[k]).abs()
        assert apart.mean() < 5e-3 and apart.flatten().quantile(0.99) < 0.03
        assert float(alone.values[0]) == pytest.approx(float(together.values[k]), rel=2e-2, abs=1e-3)
    assert (together.pictures[0] - together.pictures[1]).abs().mean() > 0.01, "and not like the others"


@pytest.mark.parametrize("alpha", [False, True])
def test_without_rounding_it_is_the_same_to_the_bit(alpha):
    """In double precision a network rounds below what a picture's pixels can tell."""
    network = networks.load("pocket").to("cpu", torch.float64)
    how = replace(QUICK, steps=8, alpha=alpha)
    together = render(network, [1e6 * channel("relu1_1", 0), channel("relu2_1", 3), 0 * channel("relu1_1", 2)], how)
    alone = render(network, [channel("relu2_1", 3)], how)
    assert torch.equal(alone.pictures[0], together.pictures[1]), "a wild unit and a dead one disturb nobody"


def test_values_and_pictures_stand_in_the_order_asked_for(pocket):
    wanted = [channel("relu2_1", k) for k in (8, 3)]
    made = render(pocket, wanted, QUICK, per=2)
    assert made.pictures.shape == (4, 3, 24, 24) and made.values.shape == (2,)
    own = [[value(pocket, one, made.pictures[2 * k : 2 * k + 2]) for k in range(2)] for one in wanted]
    assert own[0][0] > own[0][1] and own[1][1] > own[1][0]


# Chance


def test_the_same_seed_makes_the_same_and_another_another(pocket):
    how = replace(QUICK, steps=6)
    one, same, other = (render(pocket, [channel("relu2_1", 3)], replace(how, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(one.pictures, same.pictures) and torch.equal(one.values, same.values)
    assert (one.pictures - other.pictures).abs().mean() > 1e-3


def test_the_worlds_chance_is_left_alone(pocket):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    render(pocket, [channel("relu1_1", 1)], replace(QUICK, steps=2, alpha=True))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    one = render(pocket, [channel("relu1_1", 1)], replace(QUICK, steps=2, alpha=True, seed=2**63 - 1), per=2)
    torch.manual_seed(7)
    again = render(pocket, [channel("relu1_1", 1)], replace(QUICK, steps=2, alpha=True, seed=2**63 - 1), per=2)
    assert torch.equal(one.pictures, again.pictures)


# Diversity


def test_pictures_that_must_differ_differ_more(pocket):
    how = replace(QUICK, steps=40)
    one = channel("relu2_1", 3)
    alike = render(pocket, [one], how, per=3)
    different = render(pocket, [diverse(one, "relu2_1", 4.0)], how, per=3)

    def likeness(shown):
        from impasto.inspection.objectives import diversity

        return -value(pocket, diversity("relu2_1"), shown)

    assert likeness(different.pictures) < likeness(alike.pictures) - 0.05
    assert value(pocket, one, different.pictures) > 2 * value(pocket, one, start(how)), "and still excite the unit"


def test_several_pictures_of_one_start_from_other_noise(pocket):
    made = render(pocket, [channel("relu2_1", 3)] * 2, replace(QUICK, steps=2), per=2)
    assert torch.allclose(made.pictures[0], made.pictures[2], atol=1e-3)
    assert (made.pictures[0] - made.pictures[1]).abs().mean() > 1e-4


# Dead units


class Sleepy(nn.Module):
    """A unit that is dead for all gray pictures: it wants more redness than they have."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 9, padding=4, padding_mode="replicate")
        self.relu = nn.ReLU()
        colours = torch.tensor([[1.0, -0.5, -0.5], [0.0, 1.0, 0.0]])
        self.first.weight.data = (colours / 81).view(2, 3, 1, 1).expand(2, 3, 9, 9).clone()
        self.first.bias.data = torch.tensor([-0.1, 0.0])

    def forward(self, x):
        return self.relu(self.first(x))


def sleepy():
    return Network("sleepy", Sleepy().eval().requires_grad_(False), mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.mark.parametrize("parameterisation", ["fourier", "pixels"])
def test_a_unit_that_sleeps_is_woken(parameterisation):
    wanted = channel("relu", 0)
    how = replace(QUICK, steps=60, parameterisation=parameterisation)
    assert value(sleepy(), wanted, start(how)) == 0
    asleep = render(sleepy(), [wanted], replace(how, rescue=0))
    awake = render(sleepy(), [wanted], replace(how, rescue=30))
    assert float(asleep.values[0]) == 0 and torch.equal(asleep.pictures, start(how)), "nothing moves it"
    assert float(awake.values[0]) > 0.03 and value(sleepy(), wanted, awake.pictures) > 0.03
    assert awake.pictures[0, 0].mean() > awake.pictures[0, 1].mean() + 0.1


def test_rescue_changes_nothing_for_a_unit_that_is_awake():
    wanted = channel("relu", 1)
    plain, rescued = (render(sleepy(), [wanted], replace(QUICK, rescue=rescue)) for rescue in (0, 16))
    assert torch.allclose(plain.pictures, rescued.pictures, atol=1e-5)


# Alpha


def test_what_does_not_matter_becomes_transparent(pocket):
    wanted = neuron("relu2_1", 5)
    how = Rendering(size=(48, 48), steps=60, alpha=True, robustness="jitter", rate=0.1)
    made = render(pocket, [wanted], how)
    assert made.pictures.shape == (1, 4, 48, 48)
    opacity = made.pictures[0, 3]
    edge = torch.cat([opacity[:6].flatten(), opacity[-6:].flatten(), opacity[:, :6].flatten()])
    assert opacity[18:30, 18:30].mean() > edge.mean() + 0.1, "the neuron sees the middle alone"


# Precision


def test_half_precision_is_close(pocket):
    wanted = [channel("relu2_1", 3), channel("relu2_1", 8)]
    full = render(pocket, wanted, QUICK)
    half = render(pocket, wanted, replace(QUICK, precision="bf16-mixed"))
    assert half.pictures.dtype == half.values.dtype == torch.float32
    for k, one in enumerate(wanted):
        assert value(pocket, one, half.pictures[k : k + 1]) == pytest.approx(
            value(pocket, one, full.pictures[k : k + 1]), rel=0.1
        )


def test_a_network_in_double_precision_is_rendered(pocket):
    network = networks.load("pocket").to("cpu", torch.float64)
    made = render(network, [channel("relu2_1", 3)], replace(QUICK, steps=4))
    expected = render(pocket, [channel("relu2_1", 3)], replace(QUICK, steps=4))
    assert made.pictures.dtype == torch.float32
    assert (made.pictures - expected.pictures).abs().mean() < 1e-3


# Progress and interrupts


def test_progress_is_told_after_every_step(pocket):
    told = []
    render(
        pocket,
        [channel("relu1_1", 1)],
        replace(QUICK, steps=3),
        progress=lambda part, words: told.append((part, words)),
    )
    assert [part for part, _ in told] == [pytest.approx(k / 3) for k in (1, 2, 3)]
    assert told[-1][1] == "step 3 of 3"


def interrupted_after(steps):
    def tell(part, words):
        if words.startswith(f"step {steps} "):
            raise KeyboardInterrupt

    return tell


@pytest.mark.parametrize(("after", "finished"), [(1, False), (2, False), (5, False), (6, True)])
def test_an_interrupt_gives_what_there_is(after, finished, pocket):
    how = replace(QUICK, steps=6, robustness="none")
    made = render(pocket, [channel("relu2_1", 3)], how, progress=interrupted_after(after))
    expected = render(pocket, [channel("relu2_1", 3)], replace(how, steps=after))
    assert made.finished is finished
    assert torch.equal(made.pictures, expected.pictures) and torch.equal(made.values, expected.values)


def test_an_interrupt_in_the_middle_of_the_last_step_is_one():
    """What stops before the step is made has not made it."""
    stopped = [0]

    def value(found):
        stopped[0] += 1
        if stopped[0] == 4:
            raise KeyboardInterrupt
        return found["pixels"].mean()

    made = render(networks.load("pocket"), [Objective("light", ("pixels",), value)], replace(QUICK, steps=4))
    assert not made.finished and made.pictures.shape == (1, 3, 24, 24)


def test_an_interrupt_before_the_first_step_is_passed_on(pocket):
    def value(found):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(pocket, [Objective("none", ("relu1_1",), value)], QUICK)


# What goes wrong


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_activations_that_become_infinite_are_told_in_one_line(bad, pocket):
    wanted = Objective("too much", ("relu1_1",), lambda found: found["relu1_1"].mean() * bad)
    with pytest.raises(ImpastoError) as caught:
        render(pocket, [channel("relu1_1", 1), wanted], QUICK)
    assert "infinite" in str(caught.value) and "--rate" in str(caught.value) and "\n" not in str(caught.value)
    assert not isinstance(caught.value, UsageError)


def test_a_picture_that_is_no_number_is_never_given(pocket):
    """A finite value with a gradient that is none spoils the picture in the very last step."""
    wanted = Objective("root", ("pixels",), lambda found: (found["pixels"] * 0).sum().sqrt() + found["pixels"].mean())
    with pytest.raises(ImpastoError, match="infinite"):
        render(pocket, [wanted], replace(QUICK, steps=1))


def test_a_picture_too_small_for_the_tap_is_told(pocket):
    with pytest.raises(UsageError, match="4×4 pixels is too small for pocket to relu4_1"):
        render(pocket, [channel("relu4_1", 0)], Rendering(size=(4, 4), steps=1))


def test_a_tap_that_is_not_there_is_told(pocket):
    with pytest.raises(UsageError, match="no tap 'relu9_1'"):
        render(pocket, [channel("relu9_1", 0)], QUICK)


def test_a_channel_that_is_not_there_is_told(pocket):
    for wanted in (channel("relu1_1", 16), neuron("relu1_1", 16), -2 * channel("relu1_1", 99)):
        with pytest.raises(UsageError, match=r"relu1_1 has no unit (16|99): they are 0 to 15"):
            render(pocket, [wanted], QUICK)


# The network


def test_the_network_is_left_as_it_was(classifier):
    module = classifier.module
    module.head.train()
    module.head.weight.requires_grad_(True)
    module.features.train()
    try:
        before = {name: value.clone() for name, value in module.state_dict().items()}
        modes = [one.training for one in module.modules()]
        for error in (None, KeyboardInterrupt, ZeroDivisionError):

            def value(found, error=error):
                if error:
                    raise error
                return found["output"].mean()

            with suppress(KeyboardInterrupt, ZeroDivisionError):
                render(classifier, [Objective("scores", ("output",), value)], replace(QUICK, steps=2))
            assert [one.training for one in module.modules()] == modes
            assert module.head.weight.requires_grad and not module.head.bias.requires_grad
            assert all(p.grad is None for p in module.parameters())
            assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())
            assert torch.is_grad_enabled()
    finally:
        module.eval().requires_grad_(False)


def test_it_renders_where_gradients_are_switched_off(pocket):
    """In a notebook under no_grad, say."""
    with torch.no_grad():
        made = render(pocket, [channel("relu2_1", 3)], replace(QUICK, steps=3))
    assert float(made.values[0]) != 0 and (made.pictures - start(QUICK)).abs().max() > 1e-3
