"""Text and watermarks: what they cover, in which colours, and how strongly."""

import pytest
import torch

from impasto.translation.degrade import parse

GRAY = torch.full((6, 3, 80, 120), 0.5)


def covered(text: str, ground: torch.Tensor = GRAY) -> torch.Tensor:
    """How far each pixel was moved: (b, h, w)."""
    return (parse(text)(ground, range(len(ground))) - ground).abs().amax(1)


def test_text_covers_some_of_a_picture_and_leaves_the_rest_to_the_bit() -> None:
    moved = covered("text:16,count=2,opacity=1,colour=white") > 0
    shares = moved.float().mean((1, 2))
    assert (shares > 0.002).all() and (shares < 0.5).all()


@pytest.mark.parametrize(("colour", "level"), [("white", 1.0), ("black", 0.0)])
def test_opaque_text_has_its_colour_and_is_antialiased(colour: str, level: float) -> None:
    bad = parse(f"text:24,opacity=1,colour={colour}")(GRAY, range(6))
    assert torch.isclose(bad, torch.tensor(level)).any()
    between = (bad - 0.5).abs()
    assert ((between > 0.05) & (between < 0.45)).any()
    assert torch.equal(bad[:, 0], bad[:, 2])


def test_any_colour_is_another_for_each_picture() -> None:
    bad = parse("text:30,opacity=1,count=1,colour=any")(GRAY, range(6))
    colours = {
        tuple((picture.flatten(1)[:, (picture - 0.5).abs().sum(0).argmax()] * 20).int().tolist()) for picture in bad
    }
    assert len(colours) > 3


def test_opacity_is_how_far_pixels_go_to_the_colour() -> None:
    moved = covered("text:24,opacity=0.3,count=3,colour=white,angle=0")
    lone = moved[(moved > 0.14) & (moved < 0.16)]
    assert len(lone) > 50  # 0.3 of the way from 0.5 to 1; more only where lines cross
    assert covered("text:24,opacity=0,colour=white").max() == 0


def test_larger_letters_cover_more() -> None:
    small, large = ((covered(f"text:{size},count=1,opacity=1,colour=black") > 0.1).sum() for size in (10, 40))
    assert large > 2 * small > 0


@pytest.mark.parametrize("mark", ["text", "logo"])
def test_a_tiled_mark_is_all_over_and_a_single_one_is_not(mark: str) -> None:
    ground = torch.full((6, 3, 240, 240), 0.5)
    quarters = {}
    for layout in ("tiled", "single"):
        moved = covered(f"watermark:0.4,size=16,angle=-30-30,mark={mark},colour=white,layout={layout}", ground) > 0.01
        quarters[layout] = [
            moved[:, top : top + 120, left : left + 120].any((1, 2)).sum() for top in (0, 120) for left in (0, 120)
        ]
    assert min(quarters["tiled"]) == 6
    assert sum(quarters["single"]) < 18


def test_a_watermark_is_as_opaque_as_is_said_and_repeats_itself() -> None:
    ground = torch.full((1, 3, 300, 300), 0.5)
    moved = covered("watermark:0.4,size=16,angle=0,mark=logo,colour=white,layout=tiled", ground)[0]
    assert abs(moved.max() - 0.2) < 1e-6  # 0.4 of the way from 0.5 to 1
    shifted = [float((moved[:, n:] - moved[:, :-n]).abs().mean()) for n in range(20, 120)]
    assert min(shifted) < 0.25 * max(shifted)
