"""Views: the five kinds of pictures to look at."""

import numpy as np

from impasto.learning.predictions import Predictions
from impasto.learning.views import KINDS, views, views_per_class


def made(second: list[float], targets: list[int]) -> Predictions:
    p = np.array([[1 - x, x] for x in second])
    n = len(second)
    return Predictions(
        ("cat", "dog"), np.log(p).astype("f4"), tuple(map(str, range(n))), np.array(targets), (None,) * n, ("test",) * n
    )


ONE = made([0.9, 0.99, 0.2, 0.6, 0.45, 0.05, 0.97], [1, 1, 1, 0, 0, 0, -1])


def test_the_views_are_in_the_order_of_what_they_show() -> None:
    found = {view.kind: view.rows for view in views(ONE)}
    assert tuple(found) == KINDS
    assert found["most correct"] == (1, 5, 0, 4)
    assert found["most incorrect"] == (2, 3)
    assert found["most uncertain"] == (4, 3, 2, 0, 5, 1)
    assert set(found["random correct"]) == {0, 1, 4, 5} and set(found["random incorrect"]) == {2, 3}


def test_a_class_has_the_pictures_that_are_truly_of_it() -> None:
    cats, dogs = ({view.kind: view.rows for view in some} for some in views_per_class(ONE))
    assert cats["most incorrect"] == (3,) and dogs["most incorrect"] == (2,)
    assert set(cats["most uncertain"]) == {3, 4, 5}


def test_the_order_is_kept_where_probabilities_round_to_one() -> None:
    logs = np.array([[0, -40.0], [0, -90.0], [0, -60.0]], "f4")
    one = Predictions(("a", "b"), logs, ("0", "1", "2"), np.zeros(3, dtype=int), (None,) * 3, (None,) * 3)
    assert views(one)[2].rows == (1, 2, 0)


def test_the_seed_alone_draws_the_random_ones() -> None:
    rng = np.random.default_rng(0)
    many = made(list(rng.uniform(0.01, 0.99, 400)), list(rng.integers(2, size=400)))
    first, again, other = views(many, seed=1), views(many, seed=1), views(many, seed=2)
    assert first == again
    assert first[0] != other[0] and first[2] == other[2]


def test_without_mistakes_there_are_none_to_see() -> None:
    found = views(made([0.1, 0.2, 0.8], [0, 0, 1]), count=2)
    assert [len(view.rows) for view in found] == [2, 0, 2, 0, 2]
