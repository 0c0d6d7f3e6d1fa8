"""Names: the right ones for a wrong one."""

from impasto.networks.names import nearest


def test_few_names_are_all_told_in_their_order() -> None:
    assert nearest("x", ["b", "a", "c"]) == "b, a, c"
    assert nearest("x", [str(n) for n in range(12)]).count(",") == 11


def test_of_many_the_most_like_come_first_and_their_number_is_told() -> None:
    names = [f"layer{block}.{layer}" for block in range(10) for layer in range(10)]
    told = nearest("layer7_3", names)
    assert told.startswith("layer7.3, ") and told.endswith(" … (100 in all)")
    assert told.count(", ") == 11 and set(told.split(" … ")[0].split(", ")) <= set(names)


def test_where_nothing_is_like_it_the_first_are_told() -> None:
    names = [f"layer{n}" for n in range(100)]
    assert nearest("", names, most=3) == "layer0, layer1, layer2 … (100 in all)"


def test_no_names_at_all_is_no_error() -> None:
    assert nearest("x", []) == ""
