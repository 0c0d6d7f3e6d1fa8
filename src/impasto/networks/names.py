"""Names: which of many right names a wrong one was meant to be."""

import difflib
from collections.abc import Sequence


def nearest(wrong: str, right: Sequence[str], most: int = 12) -> str:
    """The right names, all of them when they are few, else those most like the wrong one.

    >>> nearest("relu9_1", ["relu1_1", "relu2_1"])
    'relu1_1, relu2_1'
    """
    close = closest(wrong, right, most)
    return ", ".join(close) + (f" … ({len(right)} in all)" if len(close) < len(right) else "")


def closest(wrong: str, right: Sequence[str], most: int = 12) -> list[str]:
    """All right names when they are few, else those most like the wrong one, the likest first."""
    if len(right) <= most:
        return list(right)
    return difflib.get_close_matches(wrong, right, n=most, cutoff=0.3) or list(right[:most])
