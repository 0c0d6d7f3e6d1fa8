"""The objective: its gradient is the one that plain autograd finds, and it goes on when memory is full."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto import networks
from impasto.errors import ImpastoError
from impasto.losses.smoothness import total_variation
from impasto.losses.style import STYLE_LOSSES
from impasto.networks import Network, Taps
from impasto.synthesis import objective as module
from impasto.synthesis.calibration import Style, content_weight, style_terms
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.objective import Objective, out_of_memory
from impasto.synthesis.tiles import tiling

EVERY_LOSS = pytest.mark.parametrize("loss", sorted(STYLE_LOSSES))
TAPS = ("relu1_1", "relu2_2", "relu3_1")
SIZE = (61, 53)


def scene(seed: int, size: tuple[int, int] = SIZE, dtype: torch.dtype = torch.float64) -> Tensor:
    """Coloured blobs; every seed has its own grain, so that styles differ."""
    chance = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 3 + 3 * seed, 4 + 3 * seed, generator=chance, dtype=torch.float64)
    tint = torch.rand(1, 3, 1, 1, generator=chance, dtype=torch.float64)
    return F.interpolate(coarse * tint, size, mode="bilinear").to(dtype)


@pytest.fixture(scope="module")
def network() -> Network:
    return networks.load("pocket", padding="replicate").to("cpu", torch.float64)


@pytest.fixture(scope="module")
def make(network):
    """make(content, *styles, …): an objective on a few taps; side is that of its tiles."""

    def make(content, *styles, loss="gram", strength=0.5, side=None, smoothness=0.0, regions=(), place="memory"):
        taps = Taps(network, TAPS)
        size = tuple(content.shape[2:])
        tiles = tiling(size, side, taps.geometry() if side else {}, reach=1 if loss == "mrf" else 0)
        painted = [
            Style(partial(Tensor.clone, s), float(n), region=n - 1 if regions else None)
            for n, s in enumerate(styles, 1)
        ]
        terms = style_terms(taps, painted, [(loss, 1.0)], TAPS, start=(content, tiles, regions)) if strength else []
        targets = ContentTargets(Taps(network, TAPS[1:]), content, tiles, place)
        weight = content_weight(strength)
        weights = {tap: weight / 2 / targets.shown[tap] for tap in TAPS[1:]} if weight else {}
        return Objective(taps, tiles, terms, weights, targets, smoothness, regions)

    return make


def plain(objective: Objective, image: Tensor, content: Tensor, network: Network) -> Tensor:
    """The gradient by autograd through the network, in one go and with nothing of tiles or of two passes."""
    x = image.clone().requires_grad_(True)
    features, photographed = Taps(network, TAPS)(x), Taps(network, TAPS)(content)
    loss = objective.smoothness * total_variation(x) + 20 * (x - x.clamp(0, 1)).square().mean()
    for tap, weight in objective.content.items():
        loss = loss + weight * (features[tap] - photographed[tap]).square().sum()
    for term in objective.style:
        found = network.in_metric(term.summed.tap, features[term.summed.tap])
        loss = loss + term.weight * term.loss.distance(term.summed.statistic.sums(found, None), term.target)
    return torch.autograd.grad(loss, x)[0]


# The gradient


@EVERY_LOSS
@pytest.mark.parametrize("side", [None, 32])
def test_it_is_plain_autograds(make, network, loss, side):
    content, image = scene(1), scene(2) * 1.5 - 0.1
    objective = make(content, scene(4, (40, 47)), scene(5, (45, 33)), loss=loss, side=side, smoothness=0.3)
    expected = plain(objective, image, content, network)
    found = objective(image).gradient
    assert (found - expected).norm() <= 1e-9 * expected.norm()


def test_gatys_formula_written_out(make, network):
    """Gatys, Ecker and Bethge (2016): Σ ‖G − Gₛ‖², and Σ (f − f₀)², with nothing of ours but the network."""
    content, style, image = scene(1), scene(4, (40, 47)), scene(2)
    objective = make(content, style, side=32)

    def grams(picture: Tensor) -> list[Tensor]:
        flat = [network.in_metric(tap, f)[0].flatten(1) for tap, f in Taps(network, TAPS)(picture).items()]
        return [f @ f.T / f.shape[1] for f in flat]

    x = image.clone().requires_grad_(True)
    apart = [(g - s).square().sum() for g, s in zip(grams(x), grams(style), strict=True)]
    begun = [(g - s).square().sum() for g, s in zip(grams(content), grams(style), strict=True)]
    lost = 0.0
    for tap in TAPS[1:]:
        f, f0 = (Taps(network, [tap])(picture)[tap] for picture in (x, content))
        lost = lost + (f - f0).square().sum() / (f0 - f0.mean((2, 3), keepdim=True)).square().sum() / 2
    # no tap of these two pictures agrees so well that calibration would bound its weight
    total = sum(a / b / len(TAPS) for a, b in zip(apart, begun, strict=True)) + content_weight(0.5) * lost
    (gradient,) = torch.autograd.grad(total, x)
    point = objective(image)
    assert point.loss == pytest.approx(float(total.detach()), rel=1e-9)
    assert (point.gradient - gradient).norm() <= 1e-9 * gradient.norm()


def test_masks_of_ones_and_zeros_leave_one_style(make):
    content, image, one, other = scene(1), scene(2), scene(4), scene(5)
    ones = torch.ones(1, 1, *SIZE, dtype=torch.float64)
    for side in (None, 32):
        alone = make(content, one, side=side, strength=1)(image)
        # regions have fuzzy borders; the second style's has one pixel in a corner
        speck = torch.zeros_like(ones)
        speck[..., 0, 0] = 1e-9
        both = make(content, one, other, side=side, strength=1, regions=[ones, speck])
        both.style = [term for term in both.style if term.summed.region == 0]
        both.__post_init__()
        scale = both.style[0].weight
        painted = both(image)
        expected = alone.gradient * (painted.terms["style"] / alone.terms["style"])
        assert scale > 0 and (painted.gradient - expected).norm() <= 1e-9 * expected.norm()


@EVERY_LOSS
def test_it_agrees_with_finite_differences(make, loss):
    """Along random directions; a match of patches and a histogram's bin are constant only over small steps."""
    content, image = scene(1, (36, 41)), scene(2, (36, 41)) * 1.3 - 0.1
    objective = make(content, scene(4, (30, 37)), loss=loss, side=20 if loss != "mrf" else 24, smoothness=0.2)
    gradient = objective(image).gradient
    chance = torch.Generator().manual_seed(0)
    step = 1e-6
    for place in torch.randint(0, image.numel(), (3,), generator=chance).tolist():
        direction = torch.zeros_like(image)
        direction.view(-1)[place] = step
        slope = (objective(image + direction).loss - objective(image - direction).loss) / (2 * step)
        # what can be seen of a slope behind the loss's own rounding
        assert slope == pytest.approx(float(gradient.view(-1)[place]), rel=1e-5, abs=1e-5 * float(gradient.abs().max()))


# The terms


def test_the_terms_are_those_asked_for_and_add_up(make):
    content, style, image = scene(1), scene(4), scene(2) + 0.5
    expected = {
        (0.0, 0.0): {"content", "range"},
        (0.5, 0.0): {"style", "content", "range"},
        (1.0, 0.3): {"style", "smooth", "range"},
    }
    for (strength, smoothness), names in expected.items():
        point = make(content, style, strength=strength, smoothness=smoothness)(image)
        assert set(point.terms) == names
        assert point.loss == pytest.approx(sum(point.terms.values()), rel=1e-12)
        assert all(value > 0 for value in point.terms.values())


def test_the_content_of_the_photograph_is_not_lost_and_that_of_others_is(make):
    content = scene(1)
    objective = make(content, scene(4))
    assert objective(content).terms["content"] == 0
    blurred = F.avg_pool2d(content, 5, 1, 2, count_include_pad=False)
    assert 0 < objective(blurred).terms["content"] < objective(scene(4)).terms["content"]


def test_the_content_term_is_the_lost_part_times_its_weight(make):
    content, image = scene(1), scene(2)
    parts = [make(content, scene(4), strength=s)(image).terms["content"] / content_weight(s) for s in (0.2, 0.5, 0.9)]
    assert parts == pytest.approx([parts[0]] * 3, rel=1e-9)
    assert 0.1 < parts[0] < 10  # another scene: about all of it is lost


def test_smoothness_is_total_variation_by_its_weight(make):
    content, style, image = scene(1), scene(4), scene(2)
    for side in (None, 32):
        smooth = make(content, style, smoothness=3.0, side=side)(image).terms["smooth"]
        assert smooth == pytest.approx(3 * float(total_variation(image)), rel=1e-12)


def test_values_out_of_range_are_pushed_back(make):
    content = scene(1)
    objective = make(content, scene(4))
    assert objective(content).terms["range"] == 0
    assert objective(content + 1).terms["range"] > 0.1


@EVERY_LOSS
def test_the_gradient_leads_down(make, loss):
    content = scene(1)
    objective = make(content, scene(4), loss=loss)
    point = objective(content)
    step = 1e-3 * point.gradient / point.gradient.abs().mean()
    assert objective(content - step).loss < point.loss


@EVERY_LOSS
@pytest.mark.parametrize("gray", [0.0, 0.5, 1.0])
def test_pictures_that_show_nothing_have_a_finite_objective(make, loss, gray):
    size = (24, 28)
    flat = torch.full((1, 3, *size), gray, dtype=torch.float64)
    for content, style in ((flat, scene(4, size)), (scene(1, size), flat), (flat, flat)):
        point = make(content, style, loss=loss)(content + 0.01)
        assert abs(point.loss) < float("inf") and point.gradient.isfinite().all()


def test_evaluating_changes_nothing_and_gives_the_same_bits_again(make):
    content, image = scene(1), scene(2)
    objective = make(content, scene(4), side=32)
    before = image.clone()
    with torch.no_grad():  # what the caller has switched off does not matter
        one = objective(image)
    other = objective(image.clone().requires_grad_(True))
    assert torch.equal(image, before) and not one.gradient.requires_grad and not other.x.requires_grad
    assert one.loss == other.loss and torch.equal(one.gradient, other.gradient)


# A full memory


def fail_above(monkeypatch, pixels: int, error: BaseException) -> list[int]:
    """Let no tile be evaluated that is larger; the tiles that were begun are returned."""
    begun = []
    begin = Objective._begin

    def limited(self, image, tile):
        seen = (tile.seen_rows[1] - tile.seen_rows[0]) * (tile.seen_columns[1] - tile.seen_columns[0])
        begun.append(seen)
        if seen > pixels:
            raise error
        return begin(self, image, tile)

    monkeypatch.setattr(Objective, "_begin", limited)
    return begun


OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes. Error code 12"
    ),
    RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
]


@pytest.mark.parametrize(
    ("error", "place"),
    [*((error, "memory") for error in OUT_OF_MEMORY), (MemoryError(), "disk"), (MemoryError(), "nowhere")],
    ids=lambda given: str(given)[:20] or "MemoryError",
)
def test_out_of_memory_the_tiles_are_halved_and_it_is_said(make, monkeypatch, caplog, error, place):
    content, image = scene(1, (90, 70)), scene(2, (90, 70))
    expected = make(content, scene(4))(image)
    objective = make(content, scene(4), place=place)
    fail_above(monkeypatch, 2000, error)
    with caplog.at_level("WARNING", "impasto"):
        point = objective(image)
    assert objective.tiling.side == 22 and point.loss == pytest.approx(expected.loss, rel=1e-9)
    assert (point.gradient - expected.gradient).norm() <= 1e-9 * expected.gradient.norm()
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory: going on in tiles of 45 pixels instead of 90",
        "out of memory: going on in tiles of 22 pixels instead of 45",
    ]
    begun = fail_above(monkeypatch, 2000, error)
    objective(image)
    assert max(begun) <= 2000, "the large tiles are not tried again"


def test_memory_that_fills_up_while_targets_are_laid_out_is_no_end(make, monkeypatch):
    content, image = scene(1, (90, 70)), scene(2, (90, 70))
    expected = make(content, scene(4))(image)
    objective = make(content, scene(4))
    fail_above(monkeypatch, 80 * 65, MemoryError())
    lay, failures = ContentTargets._lay, [MemoryError()]

    def limited(self, tiles):
        if failures:
            self._tiling = tiles  # it has begun
            raise failures.pop()
        return lay(self, tiles)

    monkeypatch.setattr(ContentTargets, "_lay", limited)
    point = objective(image)
    assert not failures and (point.gradient - expected.gradient).norm() <= 1e-9 * expected.gradient.norm()


def test_where_even_the_smallest_tiles_do_not_fit_it_is_one_line(make, monkeypatch):
    objective = make(scene(1), scene(4))
    fail_above(monkeypatch, 0, MemoryError())
    with pytest.raises(ImpastoError, match="^out of memory: a smaller --size needs less$"):
        objective(scene(2))


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), KeyboardInterrupt()])
def test_other_errors_come_through(make, monkeypatch, error):
    objective = make(scene(1), scene(4))
    begun = fail_above(monkeypatch, 0, error)
    with pytest.raises(type(error)) as caught:
        objective(scene(2))
    assert caught.value is error and len(begun) == 1
    assert not out_of_memory(error)


SCRIPT = """
import logging, resource, sys
import psutil, torch
torch.set_num_threads(1)
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
from impasto import networks
from impasto.networks import Taps
from impasto.synthesis.calibration import Style, style_terms
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.objective import Objective
from impasto.synthesis.tiles import tiling

network = networks.load("pocket", padding="replicate")
taps = Taps(network, ["relu1_1", "relu2_2", "relu3_1"])
def scene(seed, h, w):
    coarse = torch.rand(1, 3, 30, 30, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (h, w), mode="bilinear")
def make(side):
    tiles = tiling((700, 800), side, taps.geometry())
    terms = style_terms(taps, [Style(lambda: scene(1, 128, 128))], [("gram", 1.0)], taps.names)
    targets = ContentTargets(Taps(network, ["relu3_1"]), scene(2, 700, 800), tiles)
    return Objective(taps, tiles, terms, {"relu3_1": 0.01 / targets.shown["relu3_1"]}, targets)
image = scene(3, 700, 800)
expected = make(128)(image)
objective = make(None)
unlimited = psutil.Process().memory_info().vms
soft = unlimited + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))
point = objective(image)
error = float((point.gradient - expected.gradient).norm() / expected.gradient.norm())
print(len(objective.tiling.tiles), objective.tiling.side, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_in_a_process_whose_memory_is_really_full_the_work_goes_on(tmp_path: Path):
    script = tmp_path / "limited.py"
    script.write_text(SCRIPT)
    # so that what is freed goes back to the system at once, and counts no more towards the limit
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script, "200"], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    tiles, side, error = done.stdout.split()
    assert int(tiles) > 1 and int(side) < 800 and float(error) < 1e-5
    assert "impasto WARNING out of memory: going on in tiles of 400 pixels instead of 800" in done.stderr


def test_the_log_is_the_packages():
    assert module.log.name == "impasto"
