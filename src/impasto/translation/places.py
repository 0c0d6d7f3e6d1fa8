"""Places: which pictures are meant by files and folders, and where in a folder the result of each goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from impasto.errors import UsageError
from impasto.images.folder import pictures_below
from impasto.images.write import FORMATS


def gathered(sources: Sequence[Path], out: Path | None = None) -> list[tuple[Path, str]]:
    """The pictures that are named, and those below folders: their files, and their names below the folders.

    Of a folder, those below ``out`` inside it are left out: they are results.

    Raises:
        UsageError: There are none, or a folder cannot be listed.
    """
    found: list[tuple[Path, str]] = []
    for source in sources:
        if not source.is_dir():
            found.append((source, source.name))
            continue
        inside = [(source / name, name) for name in pictures_below(source)]
        if out and source.resolve() in out.resolve().parents:
            inside = [pair for pair in inside if not pair[0].parent.resolve().is_relative_to(out.resolve())]
        found += inside
    if not found:
        raise UsageError("no pictures: name some, or folders of some")
    return found


def planned(
    sources: Path | str | Sequence[Path | str], out: Path | str, suffix: str = ".png"
) -> list[tuple[Path, Path]]:
    """The pictures that are named, and those below folders, each with where its result goes below ``out``.

    Raises:
        UsageError: There are none, or one would be written over.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: several pictures need a folder")
    found = gathered([Path(one) for one in ([sources] if isinstance(sources, str | Path) else sources)], out)
    made = places([name for _, name in found], out, suffix)
    require_elsewhere(made, [source for source, _ in found], out)
    return [(source, place) for (source, _), place in zip(found, made, strict=True)]


def places(names: Sequence[str], out: Path, suffix: str = ".png") -> list[Path]:
    """Where the results of pictures go below ``out``: each under its own name, in its own folder.

    A place depends on its picture alone, so that what is done is known again whatever pictures come and go.

    >>> [str(place) for place in places(["a.jpg", "in/a.tif"], Path("out"))]
    ['out/a.png', 'out/in/a.png']

    Args:
        names: Of the pictures, below their folders.
        out: The folder.
        suffix: Of the results; ``same``: the picture's own, ``.png`` where nothing is written in its format.

    Raises:
        UsageError: Two would be one.
    """
    found: dict[PurePath, str] = {}
    for name in names:
        path = PurePath(name)
        place = path.with_suffix(own_suffix(path) if suffix == "same" else suffix)
        if other := found.get(place):
            raise UsageError(
                f"{other} and {name} would both become {out / place}: rename one, or choose an --out for each"
            )
        found[place] = name
    return [out / place for place in found]


def require_elsewhere(made: Sequence[Path], sources: Sequence[Path], out: Path) -> None:
    """Refuse results among the pictures that they are made of, which would be taken for pictures the next time.

    Raises:
        UsageError: One would be.
    """
    if not {place.parent.resolve() for place in made}.isdisjoint(source.parent.resolve() for source in sources):
        raise UsageError(f"--out {out} is where the pictures are: name another folder")


def own_suffix(picture: PurePath) -> str:
    """The picture's own format, ``.png`` where nothing is written in that."""
    suffix = picture.suffix.lower()
    return suffix if suffix in FORMATS else ".png"
