"""Folders of pictures: which level of a folder is the split, which the group, which the label."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from impasto.errors import UsageError
from impasto.images.folder import walk

# What people call the splits.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
    "unlabelled": "unlabelled",
    "unlabeled": "unlabelled",
}
LEVELS = ("split", "group", "label")


def rows_of_folder(folder: Path, layout: str = "auto") -> list[dict[str, Any]]:
    """The rows of a folder's pictures: path, and what of label, group and split the layout gives.

    Args:
        folder: The folder. Hidden files, and files without a picture's suffix, are not looked at; links are followed.
        layout: What the levels of folders are, as ``{split}/{label}``; ``*`` is a level that means nothing, and
            ``auto`` finds out: names of splits in the first level are splits, one level below is the label.

    Raises:
        UsageError: There are no pictures, a class folder is empty, or the layout fits not all of them.
    """
    found, empty = walk(folder)
    levels = _auto(folder, found) if layout == "auto" else _parse(layout)
    rows = [{"path": "/".join(parts), **_values(folder, parts, levels, layout)} for parts in found]
    for parts in empty:
        if len(parts) == len(levels) > 0 and levels[-1] == "label":
            raise UsageError(f"class folder {folder.joinpath(*parts)} holds no pictures: put some in it, or remove it")
    return rows


def _auto(folder: Path, found: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The levels of a folder that asks for no layout; an error that proposes one where it is not clear."""
    first = Counter(parts[0] for parts in found if len(parts) > 1)
    splits = {name for name in first if name.lower() in SPLIT_NAMES}
    if splits and splits != set(first):
        others = ", ".join(sorted(set(first) - splits)[:3])
        raise UsageError(
            f"{folder} holds {', '.join(sorted(splits))}, which are splits, beside {others}: "
            f"move those away or, if all are classes, {_scanned(folder, '{label}')}"
        )
    head = ("split",) if splits else ()
    labelled = [parts for parts in found if not (splits and _split(parts[0]) == "unlabelled")]
    depths = {len(parts) - 1 - len(head) for parts in labelled}
    if splits:  # a test folder without classes is usual
        depths = {len(parts) - 2 for parts in labelled if _split(parts[0]) in ("train", "valid")} or depths
    if len(depths) > 1:
        shallow, deep = min(labelled, key=len), max(labelled, key=len)
        raise UsageError(
            f"{folder} has pictures at different depths ({'/'.join(shallow)} and {'/'.join(deep)}): "
            "put them in one folder per class, or list them in a CSV file with the columns path and label"
        )
    depth = depths.pop() if depths else 0
    if depth <= 1:
        return (*head, *("label",) * depth)
    raise UsageError(_propose(folder, found, head, depth))


def _propose(folder: Path, found: list[tuple[str, ...]], head: tuple[str, ...], depth: int) -> str:
    """The line for a folder that is deeper than classes: the level whose names come back is likely the label."""
    outer: dict[str, set[str]] = {}
    for parts in found:
        if len(parts) > len(head) + 2:
            outer.setdefault(parts[-3], set()).add(parts[-2])
    shared = set.intersection(*outer.values()) if len(outer) > 1 else set()
    tail = ("{group}", "{label}") if shared else ("{label}", "{group}")
    levels = [*("{" + name + "}" for name in head), *("*",) * (depth - 2), *tail]
    example = "/".join(found[0][:-1])
    return (
        f"{folder} has {depth} levels of folders ({example}), and which is the label is not clear: "
        f"{_scanned(folder, '/'.join(levels))}"
    )


def _scanned(folder: Path, layout: str) -> str:
    """The mend that helps any command: not all have --layout, but all take a manifest."""
    return f"make a manifest of it: `impasto data scan {shlex.quote(str(folder))} --layout '{layout}'`, and give that"


def _parse(layout: str) -> tuple[str, ...]:
    levels = tuple(part.strip() for part in layout.strip("/").split("/") if part.strip())
    known = {"*": "*"} | {"{" + name + "}": name for name in LEVELS}
    for level in levels:
        if level not in known:
            given = ", ".join([*known][1:])
            raise UsageError(f"layout {layout!r}: {level!r} is no level; there are {given}, and * for any other")
    names = [known[level] for level in levels]
    if twice := [name for name, count in Counter(names).items() if count > 1 and name != "*"]:
        raise UsageError(f"layout {layout!r} names {twice[0]} twice: say * for a level that means nothing")
    return tuple(names)


def _values(folder: Path, parts: tuple[str, ...], levels: tuple[str, ...], layout: str) -> dict[str, str | None]:
    split = _split(parts[0]) if "split" in levels and levels[0] == "split" and len(parts) > 1 else None
    free = split in ("test", "unlabelled")  # these may come without classes
    if len(parts) - 1 != len(levels) and not (layout == "auto" and free):
        raise UsageError(
            f"{folder} does not fit the layout {'/'.join(_shown(levels)) or 'of a flat folder'}: "
            f"{'/'.join(parts)} lies {len(parts) - 1} levels deep; "
            + ("move it to where the others lie" if layout == "auto" else "say another --layout")
        )
    values = dict(zip(levels, parts[:-1])) if len(parts) - 1 == len(levels) else {"split": parts[0]}
    values.pop("*", None)
    if "split" in values:
        name = _split(values["split"])
        if name is None:
            raise UsageError(f"{folder} has a split {values['split']!r}: {', '.join(SPLIT_NAMES)} are known")
        values["split"] = name
        if name == "unlabelled":
            values.pop("label", None)
    elif "label" not in values:
        values["split"] = "unlabelled"
    return dict(values)


def _split(name: str) -> str | None:
    return SPLIT_NAMES.get(name.lower())


def _shown(levels: tuple[str, ...]) -> Iterator[str]:
    return (level if level == "*" else "{" + level + "}" for level in levels)
