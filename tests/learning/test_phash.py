"""Perceptual hashes: what copies have in common, and mirrored and turned ones."""

import numpy as np
import pytest
import torch

from impasto.learning import phash


def picture(seed: int, height: int = 90, width: int = 120) -> torch.Tensor:
    """Random blots."""
    coarse = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def hash_of(pixels: torch.Tensor) -> np.uint64:
    return phash.hashes(phash.coefficients(phash.thumbnail(pixels)))


def differing(one: np.uint64, other: np.uint64) -> int:
    return int(np.bitwise_count(one ^ other))


def test_smaller_darker_and_grey_copies_have_nearly_the_same_hash() -> None:
    original = picture(1)
    small = torch.nn.functional.interpolate(original, scale_factor=0.7, mode="bilinear", antialias=True)
    grey = (original * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    for copy in (small, original * 0.6, grey):
        assert differing(hash_of(original), hash_of(copy)) <= phash.SAME


def test_different_pictures_have_different_hashes() -> None:
    values = np.array([hash_of(picture(seed)) for seed in range(40)])
    assert len(phash.alike(values)) == 0


@pytest.mark.parametrize("turn, mirrored", phash.TURNS)
def test_coefficients_and_hashes_turn_as_the_picture_does(turn: int, mirrored: bool) -> None:
    small = phash.thumbnail(picture(2))
    moved = np.rot90(small, turn)
    moved = moved[:, ::-1] if mirrored else moved
    frequencies = phash.coefficients(small)
    np.testing.assert_allclose(phash.turned(frequencies, turn, mirrored), phash.coefficients(moved), atol=0.01)
    known = phash.turned_hashes(np.array([phash.hashes(frequencies)]))[phash.TURNS.index((turn, mirrored)), 0]
    assert differing(known, phash.hashes(phash.coefficients(moved))) <= 2, "but for frequencies that are hardly there"


def test_coefficients_are_those_of_the_cosine_transform() -> None:
    from scipy.fft import dctn

    small = phash.thumbnail(picture(3))
    np.testing.assert_allclose(phash.coefficients(small), dctn(small.astype(float), norm="ortho")[:8, :8], atol=0.01)


def test_alike_finds_pairs_any_way_up_across_blocks() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(1, 2**63, 3000, dtype=np.uint64) & ~np.uint64(1 << 63)
    values[2500] = values[10] ^ np.uint64(0b101)
    values[1500] = phash.turned_hashes(values[20:21])[5, 0]
    assert phash.alike(values, within=3).tolist() == [[10, 2500], [20, 1500]]
    assert phash.alike(values, within=3, any_way_up=False).tolist() == [[10, 2500]]


def test_blank_pictures_are_alike_to_none() -> None:
    blank = hash_of(torch.full((1, 3, 70, 70), 0.5))
    assert blank == 0
    assert len(phash.alike(np.array([blank, blank]))) == 0


def test_a_hash_survives_the_manifest() -> None:
    value = hash_of(picture(4))
    assert phash.from_texts([phash.to_text(value), None]).tolist() == [int(value), 0]


@pytest.mark.realdata
def test_no_two_pictures_of_a_clean_set_have_one_hash(shared) -> None:  # type: ignore[no-untyped-def]
    from impasto.learning.scan import scan

    manifest = scan(shared / "data" / "pacs-mini", layout="{group}/{label}")
    assert len(phash.alike(phash.from_texts(manifest.column("phash")))) == 0
