"""Trajectories: the plane in which they lie, and where in it, also where its directions are not orthogonal."""

import numpy as np
import pytest
import torch

from impasto.errors import UsageError
from impasto.inspection.landscape.directions import inner, normalised
from impasto.inspection.landscape.trajectory import coefficients, principal_plane

SHAPES = {"conv": (6, 3, 3, 3), "linear": (4, 10), "bias": (4,)}


def some(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in SHAPES.items()}


def along(origin: dict[str, torch.Tensor], *moves: tuple[float, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: one + sum(by * direction[name] for by, direction in moves) for name, one in origin.items()}


def orthonormal() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Two directions without a bias."""
    first, second = some(1), some(2)
    for one in (first, second):
        one["bias"] = torch.zeros(4, dtype=torch.float64)
    second = along(second, (-inner(first, second) / inner(first, first), first))
    return tuple({name: part / inner(one, one) ** 0.5 for name, part in one.items()} for one in (first, second))  # type: ignore[return-value]


PLANTED = np.array([[5.0, 1.0], [3.0, -1.0], [1.0, 0.5], [0.5, 0.0], [0.0, 0.0]])


def test_a_planted_plane_is_found_with_all_its_variance() -> None:
    origin, (first, second) = some(0), orthonormal()
    snapshots = [along(origin, (x, first), (y, second)) for x, y in PLANTED]
    plane = principal_plane(snapshots)
    assert sum(plane.explained) == pytest.approx(1)
    centred = PLANTED - PLANTED.mean(0)
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    assert plane.explained == pytest.approx(values / values.sum())
    gram = [[inner(one, two) for two in plane.directions] for one in plane.directions]
    assert np.allclose(gram, np.eye(2), atol=1e-9)
    # the plane is the planted one: each direction is a combination of the two
    for direction in plane.directions:
        assert inner(direction, first) ** 2 + inner(direction, second) ** 2 == pytest.approx(1)
    assert "bias" not in plane.directions[0]


def test_explained_variance_is_scikit_learn_s() -> None:
    from sklearn.decomposition import PCA

    snapshots = [some(seed) for seed in range(6)]
    matrix = np.array([np.concatenate([one[name].flatten() for name in ("conv", "linear")]) for one in snapshots])
    theirs = PCA(2).fit(matrix)
    plane = principal_plane(snapshots)
    assert plane.explained == pytest.approx(theirs.explained_variance_ratio_)
    ours = np.concatenate([plane.directions[0][name].flatten() for name in ("conv", "linear")])
    assert abs(ours @ theirs.components_[0]) == pytest.approx(1)


def test_coefficients_are_those_that_were_planted() -> None:
    origin, directions = some(0), orthonormal()
    found = coefficients([along(origin, *zip(point, directions, strict=True)) for point in PLANTED], origin, directions)
    assert np.allclose(found.points, PLANTED)
    assert np.allclose(found.held, 1)
    assert found.explained == pytest.approx(1)


@pytest.mark.parametrize("how", ["filter", "layer"])
def test_coefficients_are_right_for_directions_that_were_sized_and_dot_products_are_not(how: str) -> None:
    origin, (first, second) = some(0), orthonormal()
    # orthogonal as a whole, alike in one layer and opposite in the other, of which the weights are unlike in size
    second = {"conv": first["conv"] + second["conv"], "linear": first["linear"] + second["linear"]}
    share = inner({"conv": first["conv"]}, second) / inner({"linear": first["linear"]}, second)
    second["linear"] *= -share
    directions = ({name: first[name] for name in second}, second)
    assert inner(*directions) == pytest.approx(0, abs=1e-9)
    origin["conv"] *= 20
    sized = [normalised(one, origin, how) for one in directions]  # type: ignore[arg-type]
    cosine = inner(*sized) / (inner(sized[0], sized[0]) * inner(sized[1], sized[1])) ** 0.5
    assert abs(cosine) > 0.05  # orthogonal no more
    full = [one | {"bias": torch.zeros(4, dtype=torch.float64)} for one in sized]
    snapshots = [along(origin, *zip(point, full, strict=True)) for point in PLANTED]
    found = coefficients(snapshots, origin, sized)
    assert np.allclose(found.points, PLANTED, atol=1e-9)
    assert np.allclose(found.held, 1) and found.explained == pytest.approx(1)
    away = [{name: one[name] - origin[name] for name in one} for one in snapshots]
    separate = np.array([[inner(d, a) / inner(d, d) for d in sized] for a in away])
    assert not np.allclose(separate, PLANTED, atol=0.02)


def test_very_long_and_very_short_directions_are_solved_for_alike() -> None:
    origin, (first, second) = some(0), orthonormal()
    skewed = [
        {name: one * 1e-3 for name, one in first.items()},
        {name: (one + 0.9 * first[name]) * 1e3 for name, one in second.items()},
    ]
    snapshots = [along(origin, *zip(point, skewed, strict=True)) for point in PLANTED]
    assert np.allclose(coefficients(snapshots, origin, skewed).points, PLANTED, atol=1e-7)


def test_what_lies_beside_the_plane_is_said() -> None:
    origin, (first, second) = some(0), orthonormal()
    found = coefficients([along(origin, (3, first), (4, second))], origin, [first])
    assert found.points == pytest.approx(np.array([[3.0]]))
    assert found.held == pytest.approx([9 / 25])


def test_too_few_snapshots_span_no_plane() -> None:
    origin, (first, _) = some(0), orthonormal()
    line = [along(origin, (x, first)) for x in (0, 1, 2, 3)]
    with pytest.raises(UsageError, match="the 4 snapshots of the weights do not span 2 directions: train for more"):
        principal_plane(line)
    with pytest.raises(UsageError, match="the 2 snapshots"):
        principal_plane(line[:2])
    assert principal_plane(line, 1).explained == pytest.approx([1.0])
