"""Names: which of many right names a wrong one was meant to be."""

import difflib
from collections.abc import Sequence


def nearest(wrong: str, right: Sequence[str], most: int = 12) -> str:
    """The right names, all of them when they are few, else those most like the wrong one.

    >>> nearest("relu9_1", ["relu1_1", "relu2_1"])
    'relu1_1, relu2_1'
    """
    if len(right) <= most:
        return ", ".join(right)
    close = difflib.get_close_matches(wrong, right, n=most, cutoff=0.3) or list(right[:most])
    return ", ".join(close) + f" … ({len(right)} in all)"
