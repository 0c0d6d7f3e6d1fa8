"""The scan of a folder: what a plain run over all pictures at once finds, in one pass with bounded memory."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.inspection.folder.pictures import find_pictures, sized
from impasto.inspection.folder.scan import TapScan, load, save, scan
from impasto.networks import Network, Taps

TAPS = ["relu2_1", "conv3_1"]
SIZE = 48


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of three shapes."""
    folder = tmp_path_factory.mktemp("pictures")
    chance = torch.Generator().manual_seed(0)
    for number in range(40):
        shape = [(48, 64), (64, 48), (64, 64)][number % 3]
        low = torch.rand(1, 3, 6, 6, generator=chance)
        pixels = torch.nn.functional.interpolate(low, shape, mode="bicubic").clamp(0, 1)
        write(folder / f"{number:02}.png", Picture(pixels.contiguous()))
    return folder


@pytest.fixture(scope="module")
def by_hand(folder: Path) -> dict[str, list[Tensor]]:
    """The map (C, h, w) of each picture by itself."""
    taps = Taps(networks.load("pocket"), TAPS)
    with torch.no_grad():
        found = [taps(sized(path, SIZE)) for path in find_pictures(folder).paths]
    return {tap: [one[tap][0] for one in found] for tap in TAPS}


@pytest.fixture(scope="module")
def scans(folder: Path) -> dict[str, TapScan]:
    paths = find_pictures(folder).paths
    return scan(networks.load("pocket"), paths, TAPS, size=SIZE, top=5, bins=16, batch_size=4)


@pytest.mark.parametrize("tap", TAPS)
def test_the_highest_activations_are_those_of_a_full_sort(
    tap: str, scans: dict[str, TapScan], by_hand: dict[str, list[Tensor]]
) -> None:
    one, maps = scans[tap], by_hand[tap]
    peaks = torch.stack([each.amax((1, 2)) for each in maps])  # (n, C)
    np.testing.assert_allclose(one.values, peaks.sort(0, descending=True).values[:5].T.numpy(), rtol=1e-4, atol=1e-5)
    for channel in range(one.channels):
        assert len(set(one.pictures[channel])) == 5, "each from another picture"
        for value, picture, (row, column) in zip(
            one.values[channel], one.pictures[channel], one.positions[channel], strict=True
        ):
            assert float(maps[picture][channel, row, column]) == pytest.approx(value, rel=1e-4, abs=1e-5)
    assert one.maps.tolist() == [list(each.shape[1:]) for each in maps]


@pytest.mark.parametrize("tap", TAPS)
def test_statistics_are_those_of_all_positions_together(
    tap: str, scans: dict[str, TapScan], by_hand: dict[str, list[Tensor]]
) -> None:
    one = scans[tap]
    rows = torch.cat([each.flatten(1) for each in by_hand[tap]], 1).double().numpy()  # (C, N)
    np.testing.assert_allclose(one.mean, rows.mean(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one.std, rows.std(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one.zero, (rows == 0).mean(1), atol=1e-3)
    moving = rows.std(1) > 1e-6
    np.testing.assert_allclose(one.correlation[np.ix_(moving, moving)], np.corrcoef(rows[moving]), atol=1e-4)
    assert (one.correlation.diagonal() == 1).all()
    assert (one.counts.sum(1) == rows.shape[1]).all() and (np.diff(one.edges, axis=1) >= 0).all()
    np.testing.assert_allclose(one.edges[:, 0], rows.min(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one.edges[moving, -1], rows.max(1)[moving], rtol=1e-4, atol=1e-5)
    for channel in np.flatnonzero(moving):
        at_least = [(rows[channel] >= edge).sum() for edge in one.edges[channel, :-1]]
        counted = one.counts[channel][::-1].cumsum()[::-1]
        assert np.abs(counted - at_least).max() <= 0.01 * rows.shape[1]  # float32's rounding at an edge


def test_the_batch_size_changes_nothing_but_rounding(folder: Path, scans: dict[str, TapScan]) -> None:
    paths = find_pictures(folder).paths
    other = scan(networks.load("pocket"), paths, TAPS[:1], size=SIZE, top=5, bins=16, batch_size=7)[TAPS[0]]
    one = scans[TAPS[0]]
    np.testing.assert_allclose(other.values, one.values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other.correlation, one.correlation, atol=1e-4)
    assert np.mean(other.pictures == one.pictures) > 0.98


def test_fewer_pictures_than_asked_for_leave_places_empty(folder: Path) -> None:
    one = scan(networks.load("pocket"), find_pictures(folder, most=3).paths, ["relu1_1"], size=32, top=5)["relu1_1"]
    assert (one.pictures[:, 3:] == -1).all() and sorted(one.pictures[0, :3]) == [0, 1, 2]
    assert np.isfinite(one.values).all()


def test_a_constant_far_from_zero_does_not_spoil_the_correlations(tmp_path: Path) -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)
            nn.init.eye_(self.layer.weight[:, :, 0, 0].data)
            nn.init.constant_(self.layer.bias, 1000.0)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    network = Network("shifted", Shifted().eval(), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    chance, pixels = torch.Generator().manual_seed(1), []
    for number in range(4):
        gray = torch.rand(1, 1, 16, 16, generator=chance)
        pixels.append(torch.cat([gray, 1 - gray, torch.rand(1, 1, 16, 16, generator=chance)], 1))
        write(tmp_path / f"{number}.png", Picture(pixels[-1]))
    with torch.no_grad():
        network.module.layer.weight.copy_(torch.eye(3)[:, :, None, None])
    one = scan(network, find_pictures(tmp_path).paths, ["layer"], size=16)["layer"]
    assert one.correlation[0, 1] == pytest.approx(-1, abs=1e-3) and abs(one.correlation[0, 2]) < 0.1
    assert one.mean[0] == pytest.approx(1000.5, abs=0.1)


def test_unreadable_pictures_are_left_out_with_a_line_each(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = find_pictures(folder).paths[:2]
    bad = folder.parent / "bad.png"
    bad.write_bytes(b"this is no picture")
    with caplog.at_level(logging.WARNING, "impasto"):
        one = scan(networks.load("pocket"), [good[0], bad, good[1]], ["relu1_1"], size=32)["relu1_1"]
    assert [record.getMessage() for record in caplog.records] == [
        message for message in [record.getMessage() for record in caplog.records] if "left out" in message
    ]
    assert len(caplog.records) == 1 and "bad.png" in caplog.records[0].getMessage()
    assert one.left_out == [1] and set(one.pictures[0, :2]) == {0, 2}
    with pytest.raises(UsageError, match="none of 1 pictures"):
        scan(networks.load("pocket"), [bad], ["relu1_1"])


def test_vectors_are_maps_of_one_position_and_the_pixels_are_a_tap(folder: Path) -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )
    network = Network("tiny", module.eval(), classes=tuple("abcde"))
    found = scan(network, find_pictures(folder).paths, ["0", "pixels", "output"], size=24, top=2)
    assert found["output"].values.shape == (5, 2) and not found["output"].positions.any()
    assert (found["output"].maps == 1).all() and found["pixels"].channels == 3
    assert found["0"].edges[:, 0].min() < 0, "the in-place ReLU behind it must not have written over it"


def test_an_unknown_tap_lists_those_there_are(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"has no tap 'relu9_1': it has .*relu1_1"):
        scan(networks.load("pocket"), find_pictures(folder).paths, ["relu9_1"])


def test_progress_comes_to_its_end_and_never_goes_back(folder: Path) -> None:
    told: list[float] = []
    scan(
        networks.load("pocket"),
        find_pictures(folder).paths,
        ["relu1_1"],
        size=24,
        progress=lambda part, _: told.append(part),
    )
    assert told == sorted(told) and told[-1] == 1 and len(told) > 3


def test_a_scan_is_written_and_read_again(tmp_path: Path, scans: dict[str, TapScan]) -> None:
    save(scans, tmp_path / "scan.safetensors")
    again = load(tmp_path / "scan.safetensors")
    assert list(again) == TAPS
    for tap, one in scans.items():
        for name in ("values", "pictures", "positions", "maps", "edges", "counts", "mean", "correlation"):
            np.testing.assert_array_equal(getattr(again[tap], name), getattr(one, name))
    (tmp_path / "other.safetensors").write_bytes(b"no")
    with pytest.raises(UsageError, match="scan the folder again"):
        load(tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="scan the folder again"):
        load(tmp_path / "missing.safetensors")


@pytest.mark.realdata
def test_goldfish_are_found_by_what_squeezenet_calls_goldfish(shared: Path) -> None:
    network = networks.load("squeezenet1_0", weights=shared / "weights/squeezenet1_0.safetensors")
    every: Sequence[Path] = find_pictures(shared / "data/imagenet-1k-samples", most=None).paths[:24]
    found = scan(network, every, ["classifier.1"], top=3)["classifier.1"]
    goldfish = network.classes.index("goldfish")
    assert "goldfish" in every[found.pictures[goldfish, 0]].name
