"""The first picture: the photograph, noise around its mean colour, or another picture."""

import pytest
import torch

from impasto.synthesis.initial import initial, noise

COLOURS = torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)
CONTENT = (COLOURS + 0.1 * torch.randn(1, 3, 40, 50, generator=torch.Generator().manual_seed(1234))).clamp(0, 1)
NOISES = pytest.mark.parametrize("name", ["noise", "median"])


def test_content_is_a_copy_of_the_photograph():
    first = initial("content", CONTENT, None, 0)
    assert torch.equal(first, CONTENT) and first.data_ptr() != CONTENT.data_ptr()


@NOISES
def test_noise_depends_on_the_seed_alone(name):
    torch.manual_seed(1)
    one = initial(name, CONTENT, None, 7)
    torch.manual_seed(2)
    torch.rand(5)
    assert torch.equal(initial(name, CONTENT, None, 7), one)
    assert not torch.equal(initial(name, CONTENT, None, 8), one)


@NOISES
def test_noise_leaves_the_global_chance_alone(name):
    torch.manual_seed(1)
    undisturbed = torch.rand(3)
    torch.manual_seed(1)
    initial(name, CONTENT, None, 7)
    assert torch.equal(torch.rand(3), undisturbed)


@NOISES
def test_noise_is_spread_around_the_photographs_mean_colour_and_shows_nothing_of_it(name):
    first = initial(name, CONTENT, None, 0)
    assert first.shape == CONTENT.shape and first.min() >= 0 and first.max() <= 1
    torch.testing.assert_close(first.mean(dim=(2, 3)), COLOURS.flatten(1), atol=0.05, rtol=0)
    assert first.std(dim=(2, 3)).min() > 0.05
    both = torch.stack([first.flatten(), CONTENT.flatten()]) - COLOURS.expand_as(CONTENT).flatten()
    assert torch.corrcoef(both)[0, 1].abs() < 0.15


def test_filtered_noise_has_blobs_where_noise_has_grain():
    def grain(image: torch.Tensor) -> float:
        return float((image[..., 1:] - image[..., :-1]).square().mean() / image.var())

    grainy, blobby = (grain(initial(name, CONTENT, None, 0)) for name in ("noise", "median"))
    assert blobby < grainy / 3


def test_another_picture_is_brought_to_the_photographs_size():
    other = torch.rand(1, 3, 21, 33, generator=torch.Generator().manual_seed(3))
    first = initial("other.png", CONTENT, other, 0)
    assert first.shape == CONTENT.shape and first.min() >= 0 and first.max() <= 1
    torch.testing.assert_close(first.mean(dim=(2, 3)), other.mean(dim=(2, 3)), atol=0.02, rtol=0)


@pytest.mark.parametrize("median", [False, True])
def test_noise_goes_on_at_the_opposite_border(median):
    """The seam of what is to be tiled is as rough as the inside."""
    image = noise((64, 48), COLOURS, median=median, seed=3)
    inside = (image[..., 1:] - image[..., :-1]).square().mean()
    seam = (image[..., :1] - image[..., -1:]).square().mean()
    assert float(seam) == pytest.approx(float(inside), rel=0.4)


def test_noise_can_be_made_around_any_colour():
    for value in (0.0, 0.5, 1.0):
        image = noise((40, 40), torch.full((1, 3, 1, 1), value))
        assert image.shape == (1, 3, 40, 40) and image.min() >= 0 and image.max() <= 1
        assert abs(float(image.mean()) - value) < 0.1
