"""Padding: pictures of any size become multiples, and lose nothing on the way back."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.translation.architectures.padding import cropped, padded

SIDES = st.integers(1, 40)


@given(SIDES, SIDES, st.sampled_from([1, 2, 3, 8, 32]))
def test_a_picture_is_continued_by_its_last_pixels_to_the_next_multiple(height: int, width: int, multiple: int) -> None:
    image = torch.arange(2.0 * height * width).view(1, 2, height, width)
    out = padded(image, multiple)
    rows, columns = out.shape[-2:]
    assert rows % multiple == columns % multiple == 0
    assert 0 <= rows - height < multiple and 0 <= columns - width < multiple
    down, across = torch.arange(rows).clamp_max(height - 1), torch.arange(columns).clamp_max(width - 1)
    assert torch.equal(out, image[..., down, :][..., across])
    assert torch.equal(cropped(out, image), image)


def test_what_a_network_enlarged_is_cropped_at_its_scale() -> None:
    out = torch.arange(12.0 * 20).view(1, 1, 12, 20)
    assert torch.equal(cropped(out, torch.zeros(1, 3, 3, 5), scale=3), out[..., :9, :15])
