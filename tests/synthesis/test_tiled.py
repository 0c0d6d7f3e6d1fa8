"""Tiled is untiled: loss and gradient in any tiles are those of the whole picture, for every loss and network."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto import networks
from impasto.losses.style import STYLE_LOSSES
from impasto.networks import Network, Taps
from impasto.networks.network import vgg_aliases
from impasto.synthesis.calibration import Style, style_terms
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.objective import Objective
from impasto.synthesis.point import Point
from impasto.synthesis.tiles import tiling

EVERY_LOSS = pytest.mark.parametrize("loss", sorted(STYLE_LOSSES))
STYLE_TAPS = ("relu1_1", "relu2_2", "relu3_1")


def scene(size: tuple[int, int], seed: int, dtype: torch.dtype = torch.float64, grain: int = 7) -> Tensor:
    """Coloured blobs, some of them beyond what a file can hold."""
    chance = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, size[0] // grain + 2, size[1] // grain + 2, generator=chance, dtype=torch.float64)
    return F.interpolate(coarse * 1.2 - 0.1, size=size, mode="bicubic").to(dtype)


def soft_mask(size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    coarse = torch.rand(1, 1, 5, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return F.interpolate(coarse, size=size, mode="bilinear").to(dtype)


def make(
    network: Network,
    size: tuple[int, int],
    side: int | None,
    losses: Sequence[str] = ("gram",),
    *,
    dtype: torch.dtype = torch.float64,
    style_taps: Sequence[str] = STYLE_TAPS,
    content_taps: Sequence[str] = ("relu3_1",),
    masks: bool = False,
    wraps: bool = False,
    kept: int = 1,
    style_side: int | None = None,
    smoothness: float = 0.1,
    style_sizes: Sequence[tuple[int, int]] = ((61, 50), (47, 66)),
) -> Objective:
    """Two styles, content, smoothness, and perhaps regions."""
    names = [*style_taps, *content_taps]
    taps = Taps(network, names)
    content = scene(size, 2, dtype)
    reach = 1 if "mrf" in losses else 0
    tiles = tiling(size, side, taps.geometry() if side or wraps else {}, reach=reach, wraps=wraps)
    regions = [soft_mask(size, dtype), 1 - soft_mask(size, dtype)] if masks else []
    first, second = (scene(at, seed, dtype, grain=4) for seed, at in enumerate(style_sizes, 3))
    styles = [
        Style(
            lambda: first,
            1.0,
            region=0 if masks else None,
            mask=partial(soft_mask, style_sizes[0], dtype) if masks else None,
        ),
        Style(lambda: second, 2.0, region=1 if masks else None),
    ]
    terms = style_terms(
        taps, styles, [(loss, 1.0) for loss in losses], style_taps, side=style_side, start=(content, tiles, regions)
    )
    targets = ContentTargets(Taps(network, content_taps), content, tiles) if content_taps else None
    weights = {tap: 0.01 / targets.shown[tap] for tap in content_taps} if targets else {}
    return Objective(taps, tiles, terms, weights, targets, smoothness, regions, kept)


def alike(one: Point, other: Point, tolerance: float) -> None:
    assert one.terms.keys() == other.terms.keys()
    for name, value in one.terms.items():
        assert value == pytest.approx(other.terms[name], rel=tolerance, abs=1e-12), name
    assert one.loss == pytest.approx(other.loss, rel=tolerance)
    assert (one.gradient - other.gradient).norm() <= tolerance * other.gradient.norm()


@pytest.fixture(scope="module")
def pocket() -> Callable[..., Network]:
    """pocket(dtype, padding)."""
    found: dict[tuple[torch.dtype, str], Network] = {}

    def pocket(dtype: torch.dtype = torch.float64, padding: str = "replicate") -> Network:
        if (dtype, padding) not in found:
            found[dtype, padding] = networks.load("pocket", padding=padding).to("cpu", dtype)
        return found[dtype, padding]

    return pocket


def vgg_like(pool: type[nn.Module], **options: bool) -> Network:
    """A random network of VGG's plan, with poolings of any kind."""
    torch.manual_seed(5)
    layers: list[nn.Module] = []
    for channels, width in ((3, 6), (6, 8), (8, 10)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), pool(2, **options)]
    module = nn.Module()
    module.features = nn.Sequential(*layers[:-1])
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    module.requires_grad_(False).eval().double()
    trunk = tuple((f"features.{name}", layer) for name, layer in module.features.named_children())
    return Network("random", module, trunk=trunk, aliases=vgg_aliases(trunk))


# Every loss


@EVERY_LOSS
@pytest.mark.parametrize("masks", [False, True], ids=["whole picture", "regions"])
def test_in_float64_tiles_change_nothing_but_rounding(pocket, loss, masks):
    # the Markov random field compares every patch with every other one, in float64: a smaller picture will do
    size, taps = ((61, 75), ("relu2_2",)) if loss == "mrf" else ((66, 63), STYLE_TAPS)
    one, tiled = (
        make(pocket(), size, side, [loss], masks=masks, style_taps=taps, style_side=style_side)
        for side, style_side in ((None, None), (32, 24))
    )
    assert len(tiled.tiling.tiles) >= 4 and len(one.tiling.tiles) == 1
    image = scene(size, 1)
    alike(tiled(image), one(image), 1e-9)


@pytest.mark.parametrize("loss", ["gram", "wasserstein", "meanstd", "mmd-gaussian", "sliced"])
def test_in_float32_too(pocket, loss):
    one, tiled = (
        make(pocket(torch.float32), (99, 93), side, [loss], dtype=torch.float32, masks=True) for side in (None, 48)
    )
    image = scene((99, 93), 1, torch.float32)
    # a histogram's slope jumps at its nodes, and rounding carries a few values over one
    alike(tiled(image), one(image), 3e-5 if loss == "sliced" else 1e-5)


def test_losses_together_are_measured_once_and_are_exact(pocket):
    names = ("gram", "mmd-polynomial", "wasserstein", "meanstd")
    one, tiled = (make(pocket(), (83, 95), side, names, masks=True) for side in (None, 40))
    assert len(tiled._wanted) == 2 * 2 * len(STYLE_TAPS)  # second and diagonal moments of two regions
    image = scene((83, 95), 1)
    alike(tiled(image), one(image), 1e-9)


# Any tiles


@pytest.mark.parametrize("kept", [2, 99])
def test_keeping_tiles_for_the_second_pass_changes_nothing(pocket, kept):
    image = scene((77, 69), 1)
    once = make(pocket(), (77, 69), 32, masks=True)(image)
    again = make(pocket(), (77, 69), 32, masks=True, kept=kept)(image)
    assert again.loss == once.loss and torch.equal(again.gradient, once.gradient)


@pytest.mark.parametrize(
    "size, side",
    [((64, 64), 32), ((37, 150), 36), ((50, 51), 49), ((33, 97), 17)],
)
def test_odd_sizes_and_odd_sides(pocket, size, side):
    one, tiled = (make(pocket(), size, at, masks=True) for at in (None, side))
    assert len(tiled.tiling.tiles) > 1
    image = scene(size, 1)
    alike(tiled(image), one(image), 1e-9)


def test_without_styles_without_content_and_with_neither(pocket):
    image = scene((70, 83), 1)
    for what in ({"style_taps": ()}, {"content_taps": ()}, {"style_taps": (), "content_taps": ("relu1_1",)}):
        one, tiled = (make(pocket(), (70, 83), side, **what) for side in (None, 32))
        alike(tiled(image), one(image), 1e-9)
        assert ("style" in one(image).terms) == ("style_taps" not in what)
        assert ("content" in one(image).terms) == (what.get("content_taps") != ())
    nothing = Objective(Taps(pocket(), ["relu1_1"]), one.tiling)
    assert set(nothing(image).terms) == {"range"} and nothing(image).gradient.abs().max() > 0


def test_the_pixels_themselves_can_be_compared_in_tiles(pocket):
    one, tiled = (
        make(pocket(), (70, 83), side, style_taps=("pixels", "relu2_1"), content_taps=("pixels",), masks=True)
        for side in (None, 32)
    )
    image = scene((70, 83), 1)
    alike(tiled(image), one(image), 1e-9)


# Any network


@pytest.mark.parametrize("loss", ["gram", "wasserstein"])
def test_zeros_beyond_the_border(pocket, loss):
    image = scene((83, 95), 1)
    one, tiled = (make(pocket(padding="zeros"), (83, 95), side, [loss], masks=True) for side in (None, 32))
    alike(tiled(image), one(image), 1e-9)
    border = make(pocket(), (83, 95), None, [loss], masks=True)(image).gradient - one(image).gradient
    assert border.abs().max() > 0, "what is beyond the border matters"


@pytest.mark.parametrize(
    "pool, options",
    [(nn.MaxPool2d, {}), (nn.MaxPool2d, {"ceil_mode": True}), (nn.AvgPool2d, {"ceil_mode": True})],
    ids=["max", "max, ceil", "average, ceil"],
)
@pytest.mark.parametrize("size", [(83, 101), (84, 98)])
def test_maxima_and_windows_that_stick_out(pool, options, size):
    network = vgg_like(pool, **options)
    one, tiled = (
        make(network, size, side, ["gram"], style_taps=("relu1_2", "relu3_2"), content_taps=("relu2_1",), masks=True)
        for side in (None, 44)
    )
    image = scene(size, 1)
    alike(tiled(image), one(image), 1e-9)


@pytest.mark.realdata
@pytest.mark.parametrize("size", [(130, 151), (127, 140)])
def test_squeezenets_unpadded_strides_and_rounded_up_poolings(shared: Path, size):
    network = networks.load("squeezenet1_0", weights=shared / "weights" / "squeezenet1_0.safetensors")
    network = network.to("cpu", torch.float64)
    style_taps = ("features.1", "features.4", "features.6")
    one, tiled = (
        make(network, size, side, ["gram", "meanstd"], style_taps=style_taps, content_taps=("features.5",), masks=True)
        for side in (None, 64)
    )
    assert len(tiled.tiling.tiles) >= 6
    image = scene(size, 1)
    alike(tiled(image), one(image), 1e-9)


@pytest.mark.realdata
def test_vgg(shared: Path):
    weights = shared / "weights" / "vgg19_to_conv3_4.safetensors"
    network = networks.load("vgg19", weights=weights, padding="replicate", pooling="average")
    size, dtype = (117, 101), torch.float32
    one, tiled = (make(network, size, side, ["gram"], dtype=dtype, masks=True) for side in (None, 64))
    image = scene(size, 1, dtype)
    alike(tiled(image), one(image), 1e-5)


# Pictures that wrap


@pytest.mark.parametrize("side", [None, 24])
@pytest.mark.parametrize("loss", ["gram", "mrf"])
def test_a_rolled_picture_that_wraps_has_the_rolled_gradient(pocket, side, loss):
    taps = ("relu2_2",) if loss == "mrf" else STYLE_TAPS
    objective = make(pocket(), (48, 64), side, [loss], wraps=True, content_taps=(), style_taps=taps)
    image = scene((48, 64), 1)
    straight = objective(image)
    for rows, columns in ((4, 0), (0, 8), (-20, 36)):
        rolled = objective(image.roll((rows, columns), (2, 3)))
        assert rolled.loss == pytest.approx(straight.loss, rel=1e-9)
        moved = straight.gradient.roll((rows, columns), (2, 3))
        assert (rolled.gradient - moved).norm() <= 1e-9 * moved.norm()


@pytest.mark.parametrize("loss", ["gram", "mrf", "sliced"])
def test_a_picture_that_wraps_is_the_same_in_tiles(pocket, loss):
    taps = ("relu2_2",) if loss == "mrf" else STYLE_TAPS
    image = scene((48, 64), 1)
    one, *tiled = (
        make(pocket(), (48, 64), side, [loss], wraps=True, masks=True, style_taps=taps)(image) for side in (None, 24)
    )
    for point in tiled:
        alike(point, one, 1e-9)


@pytest.mark.parametrize("size, side", [((48, 40), None), ((8, 12), None), ((48, 40), 24)])
def test_wrapping_is_circular_padding(pocket, size, side):
    """A network that pads every convolution circularly sees a torus."""
    circular = networks.load("pocket").to("cpu", torch.float64)
    for layer in circular.module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding_mode = "circular"
    objective = make(pocket(), size, side, ["gram"], wraps=True, content_taps=(), smoothness=0)
    image = scene(size, 1).requires_grad_(True)
    features = Taps(circular, STYLE_TAPS)(image)
    loss = 20 * (image - image.clamp(0, 1)).square().mean()
    for term in objective.style:
        found = circular.in_metric(term.summed.tap, features[term.summed.tap])
        loss = loss + term.weight * term.loss.distance(term.summed.statistic.sums(found, None), term.target)
    (gradient,) = torch.autograd.grad(loss, image)
    point = objective(image.detach())
    assert point.loss == pytest.approx(float(loss.detach()), rel=1e-9)
    assert (point.gradient - gradient).norm() <= 1e-9 * gradient.norm()


def test_the_smoothness_of_a_picture_that_wraps_counts_its_seam(pocket):
    image = torch.zeros(1, 3, 48, 64, dtype=torch.float64)
    image[..., 32:] = 1  # an edge in the middle, and one at the seam
    values = {
        wraps: make(pocket(), (48, 64), 32, style_taps=(), content_taps=("relu1_1",), wraps=wraps)(image).terms[
            "smooth"
        ]
        for wraps in (False, True)
    }
    assert values[True] == pytest.approx(2 * values[False], rel=0.05)
