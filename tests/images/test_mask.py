"""Masks: white counts, black does not, whatever kind of picture says so."""

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import UsageError
from impasto.images import read_mask

RAMP = np.arange(256, dtype=np.uint8).reshape(8, 32)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_gray_level_is_the_weight_exactly_in_any_kind_of_file(tmp_path, mode):
    Image.fromarray(RAMP).convert(mode).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert mask.shape == (1, 1, 8, 32) and mask.dtype == torch.float32
    assert torch.equal(mask[0, 0], torch.from_numpy(RAMP).float() / 255)


def test_a_colour_weighs_as_much_as_its_luma(tmp_path):
    colours = {(255, 0, 0): 0.2126, (0, 255, 0): 0.7152, (0, 0, 255): 0.0722, (255, 255, 255): 1.0}
    Image.fromarray(np.array([[*colours]], dtype=np.uint8)).save(tmp_path / "mask.png")
    torch.testing.assert_close(read_mask(tmp_path / "mask.png")[0, 0, 0], torch.tensor([*colours.values()]))


def test_what_is_transparent_counts_less(tmp_path):
    gray_and_alpha = np.stack([np.full((4, 6), 204, np.uint8), np.tile(np.arange(0, 255, 50, np.uint8), (4, 1))], -1)
    Image.fromarray(gray_and_alpha, "LA").save(tmp_path / "mask.png")
    expected = torch.arange(0, 255, 50) / 255 * 0.8
    torch.testing.assert_close(read_mask(tmp_path / "mask.png")[0, 0], expected.expand(4, 6))


def test_a_mask_that_cannot_be_read_gets_one_line(tmp_path):
    (tmp_path / "mask.png").write_text("no picture")
    for name in ("mask.png", "missing.png"):
        with pytest.raises(UsageError, match=name) as error:
            read_mask(tmp_path / name)
        assert "\n" not in str(error.value)
