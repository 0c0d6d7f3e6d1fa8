"""Top patches and neighbours: what is cut out is where the activation is, and alike is near."""

from pathlib import Path

import pytest
import torch

from impasto import networks
from impasto.errors import UsageError
from impasto.inspection.folder.neighbours import neighbours
from impasto.inspection.folder.pictures import find_pictures, sized
from impasto.inspection.folder.top_patches import histogram, patches
from impasto.networks import Taps


def test_patches_are_cut_where_the_activation_is(pets: Path) -> None:
    found = patches("relu2_1:3-5", folder=pets, network="pocket", size=48, top=4)
    paths = dict(zip(find_pictures(pets).names, find_pictures(pets).paths, strict=True))
    taps = Taps(networks.load("pocket"), ["relu2_1"])
    for one in found.units:
        assert [each.activation for each in one.patches] == sorted((e.activation for e in one.patches), reverse=True)
        assert len({each.source for each in one.patches}) == 4
        for each in one.patches:
            picture = sized(paths[each.source], 48)
            with torch.no_grad():
                value = taps(picture)["relu2_1"][0, one.unit.channel, each.position[0], each.position[1]]
            assert float(value) == pytest.approx(each.activation, rel=1e-4, abs=1e-5)
            top, left, bottom, right = each.box
            assert each.pixels.shape[-2:] == (bottom - top, right - left)
            middle = (bottom + top) // 2, (right + left) // 2
            if 0 <= middle[0] < picture.shape[-2] and 0 <= middle[1] < picture.shape[-1]:
                inside = each.pixels[0, :, middle[0] - top, middle[1] - left]
                assert torch.equal(inside, picture[0, :, middle[0], middle[1]])
    assert histogram(found.units[0], 64).shape[:2] == (1, 3)


def test_too_many_units_for_a_sheet_and_unknown_ones_are_said(pets: Path) -> None:
    with pytest.raises(UsageError, match="more than the 256 of a sheet"):
        patches(*["relu3_1"] * 1, "relu3_2", "conv3_1", "conv3_2", "conv2_1", folder=pets, network="pocket")
    with pytest.raises(UsageError, match="has no tap 'relu7': it has"):
        patches("relu7:1", folder=pets, network="pocket")


@pytest.mark.parametrize("pool", ["average", "flat"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_striped_pictures_are_nearest_to_a_striped_one(pets: Path, pool: str, metric: str) -> None:
    found = neighbours(
        pets / "stripes" / "2.png", pets, network="pocket", tap="relu2_1", size=48, count=5, pool=pool, metric=metric
    ).found
    assert {one.label for one in found} == {"stripes"} and "stripes/2.png" not in {one.name for one in found}
    assert [one.distance for one in found] == sorted(one.distance for one in found)


def test_the_only_picture_has_no_neighbours(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes((pets / "spots/0.png").read_bytes())
    with pytest.raises(UsageError, match="holds no other picture"):
        neighbours(tmp_path / "one.png", tmp_path, network="pocket", size=32)
