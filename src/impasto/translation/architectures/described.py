"""Described networks: from a kind and its settings, as JSON holds them, to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import nn

from impasto.errors import UsageError
from impasto.networks.names import nearest

Kind = TypeVar("Kind", bound=str)


def described(kinds: Mapping[Kind, Callable[..., nn.Module]], what: str, description: Mapping[str, Any]) -> nn.Module:
    """The network that a description says: ``kind`` is one of the kinds, the rest are its settings.

    Args:
        kinds: What makes each.
        what: What they are, for what is told of a wrong one.
        description: The kind and its settings.

    Raises:
        UsageError: No such kind, or a setting that it does not have.
    """
    settings = dict(description)
    kind = settings.pop("kind", None)
    if kind not in kinds:
        raise UsageError(f"no {what} {kind!r}: there are {nearest(str(kind), tuple(kinds))}")
    try:
        return kinds[kind](**settings)
    except TypeError as error:
        raise UsageError(f"the {what} {kind} cannot be made of {settings}: {error}") from error
