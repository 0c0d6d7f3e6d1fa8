"""Patches: what lies outside does not matter to the activation, and every edge inside does."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto import networks
from impasto.inspection.folder.patches import patch, patch_box
from impasto.networks import Network, Taps
from impasto.networks.geometry import TapGeometry


def check_exact(network: Network, tap: str, size: tuple[int, int], position: tuple[int, int]) -> None:
    """The activation at a position depends on the box and on all of its four edges, and on nothing else."""
    taps = Taps(network, [tap])
    top, left, bottom, right = patch_box(taps.geometry()[tap], position, size)
    chance = torch.Generator().manual_seed(3)
    picture = torch.rand(1, 3, *size, generator=chance)

    def at(image: Tensor) -> Tensor:
        with torch.no_grad():
            return taps(image)[tap][0, :, position[0], position[1]]

    inside = torch.zeros(size, dtype=torch.bool)
    inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    elsewhere = torch.where(inside, picture, torch.rand(1, 3, *size, generator=chance))
    torch.testing.assert_close(at(elsewhere), at(picture), rtol=1e-4, atol=1e-5)
    edges = {"top": (top, None), "bottom": (bottom - 1, None), "left": (None, left), "right": (None, right - 1)}
    for name, (row, column) in edges.items():
        if not (row is None or 0 <= row < size[0]) or not (column is None or 0 <= column < size[1]):
            continue
        spoiled = picture.clone()
        line = torch.zeros(size, dtype=torch.bool)
        line[row if row is not None else slice(None), column if column is not None else slice(None)] = True
        spoiled[..., line & inside] = float("nan")  # which a maximum and a ReLU let through, as they may no change
        assert at(spoiled).isnan().any(), f"the {name} edge of the box does not matter"


@pytest.mark.parametrize("tap", ["conv1_1", "relu2_1", "relu3_2"])
@pytest.mark.parametrize("size", [(128, 128), (75, 101)])
def test_a_box_is_the_receptive_field_exactly(tap: str, size: tuple[int, int]) -> None:
    network = networks.load("pocket")
    with torch.no_grad():
        h, w = Taps(network, [tap])(torch.rand(1, 3, *size))[tap].shape[2:]
    for position in [(h // 2, w // 2), (0, 0), (h - 1, w - 1), (h // 3, w - 2)]:
        check_exact(network, tap, size, position)


@pytest.mark.realdata
@pytest.mark.parametrize("tap", ["features.0", "features.3", "features.7", "features.12"])
def test_squeezenets_boxes_are_exact_with_its_borders_that_round_up(tap: str, shared: Path) -> None:
    network = networks.load("squeezenet1_0", weights=shared / "weights/squeezenet1_0.safetensors")
    for size in [(224, 224), (168, 224), (149, 224)]:
        with torch.no_grad():
            h, w = Taps(network, [tap])(torch.rand(1, 3, *size))[tap].shape[2:]
        for position in [(h // 2, w // 2), (0, 0), (h - 1, w - 1)]:
            check_exact(network, tap, size, position)


def test_a_patch_is_cut_at_its_place_and_gray_beyond_the_border() -> None:
    picture = torch.arange(3 * 5 * 7).view(1, 3, 5, 7).float()
    assert torch.equal(patch(picture, (1, 2, 4, 6)), picture[..., 1:4, 2:6])
    over = patch(picture, (-2, -1, 2, 9))
    assert over.shape == (1, 3, 4, 10)
    assert torch.equal(over[..., 2:, 1:8], picture[..., :2, :])
    assert (over[..., :2, :] == 0.5).all() and (over[..., 0] == 0.5).all() and (over[..., 8:] == 0.5).all()
    assert (patch(picture, (10, 10, 12, 12)) == 0.5).all()


def test_a_tap_that_sees_everything_has_the_whole_picture() -> None:
    assert patch_box(TapGeometry(0, 0, 0, everywhere=True), (3, 4), (20, 30)) == (0, 0, 20, 30)
