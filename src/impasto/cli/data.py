"""impasto data: scan, split, sample and audit the pictures that a classifier is to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, complain, say
from impasto.errors import UsageError

if TYPE_CHECKING:
    from impasto.learning.manifest import Manifest

data = App(
    name="data",
    help="The pictures to learn from: scan them, split them, take a sample, find what is wrong with them.",
    help_epilogue="",
)

MANIFEST = Path("data.parquet")


@data.command
def scan(
    source: Path,
    /,
    *,
    out: Path = MANIFEST,
    layout: str = "auto",
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    box_columns: Annotated[tuple[str, str, str, str] | None, Parameter(negative="")] = None,
    root: Path | None = None,
    pictures: Annotated[bool, Parameter(negative="--no-pictures")] = True,
    replace: Annotated[bool, Parameter(negative="")] = False,
    voice: Voice = QUIET,
) -> None:
    """Make a manifest of a folder, a table or MNIST's files: path, label, group, split, size, hashes of each picture.

    A manifest is a Parquet file. Nothing is moved, copied or changed, and every picture is read to its end.

    A folder holds a folder for each class, or train, valid and test with such folders in each. A table is a CSV or
    Parquet file with a picture in each row; its columns are found by their usual names (image, file, label, class,
    subject, split, xmin …), or named.

    Examples:

        impasto data scan pets
        impasto data scan pacs-mini --layout "{group}/{label}" --out pacs.parquet
        impasto data scan bboxes.csv --label-column species
        impasto data scan drivers.csv --group-column subject --no-pictures
        impasto data scan mnist-t10k

    Parameters
    ----------
    source
        A folder, a CSV or Parquet file, or (a folder of) idx files.
    out
        The manifest to write.
    layout
        What the levels of a folder are: {split}, {group}, {label}, or * for a level that means nothing.
    path_column
        The column of a table with the picture's file.
    label_column
        The column with its class.
    group_column
        The column with what must stay together: a driver, a patient.
    split_column
        The column with train, valid or test.
    box_columns
        The four columns of left, top, right, bottom in pixels.
    root
        The folder that a table's paths start from.
    pictures
        Whether to open the pictures; without, only the table is read.
    replace
        Write over a manifest that is there.
    voice
        How to speak.
    """
    from impasto.learning.scan import Columns
    from impasto.learning.scan import scan as craft

    _require_writable(out, source, replace=replace)
    columns = Columns(path_column, label_column, group_column, split_column, box_columns)
    with listener(voice) as bar:
        manifest = craft(source, layout=layout, columns=columns, root=root, pictures=pictures, progress=bar.part)
    manifest.save(out)
    for warning in _warnings(source, manifest) if pictures else ():
        complain(warning, as_json=voice.json, kind="warning")
    _report(manifest, out, voice)


@data.command
def split(
    source: Path,
    /,
    *,
    valid: float = 0.2,
    test: float = 0.0,
    grouped: Annotated[bool | None, Parameter(negative="--no-grouped")] = None,
    seed: int = 0,
    again: Annotated[bool, Parameter(negative="")] = False,
    layout: str = "auto",
    out: Path | None = None,
    replace: Annotated[bool, Parameter(negative="")] = False,
    voice: Voice = QUIET,
) -> None:
    """Give each picture a split: train, valid or test, with the same part of every class in each.

    Groups stay together: no driver is on two sides. So do copies of a picture, known by their hashes. Pictures that
    have a split keep it, and a missing valid is taken from train. A manifest that is read is itself given the splits,
    if there is no --out; no other file is written over.

    Examples:

        impasto data split pets --valid 0.2 --test 0.2
        impasto data split data.parquet --test 0.2 --again
        impasto data split drivers.parquet --no-grouped

    Parameters
    ----------
    source
        A manifest, or what `impasto data scan` takes.
    valid
        Part of the pictures for valid, on which choices are made.
    test
        Part for test, which is looked at once.
    grouped
        Whether groups stay together; they do where there are some.
    seed
        Another one deals the pictures otherwise.
    again
        Forget the splits that there are, but for unlabelled.
    layout
        What the levels of a folder are, as for `impasto data scan`.
    out
        The manifest to write; the one that is read, or data.parquet.
    replace
        Write over another manifest that is there.
    voice
        How to speak.
    """
    from impasto.learning.scan import is_manifest
    from impasto.learning.split import split as craft

    out = out or (source if is_manifest(source) else MANIFEST)
    own = out.resolve() == source.resolve() and is_manifest(source)
    _require_writable(out, replace=replace or own)
    manifest = _read(source, layout, voice)
    if again:
        manifest = manifest.having(split=[one if one == "unlabelled" else None for one in manifest.column("split")])
    manifest = craft(manifest, valid=valid, test=test, grouped=grouped, seed=seed)
    manifest.save(out)
    _report(manifest, out, voice)


@data.command
def sample(
    source: Path,
    /,
    *,
    count: int | None = None,
    fraction: float | None = None,
    grouped: Annotated[bool, Parameter(negative="")] = False,
    seed: int = 0,
    copy_to: Path | None = None,
    link_to: Path | None = None,
    layout: str = "auto",
    out: Path = Path("sample.parquet"),
    replace: Annotated[bool, Parameter(negative="")] = False,
    voice: Voice = QUIET,
) -> None:
    """Take fewer pictures, a mirror of all: the same part of every split and class.

    The sample is a manifest; the pictures stay where they are, unless a folder of copies or links is asked for.

    Examples:

        impasto data sample data.parquet --count 200
        impasto data sample pets --fraction 0.1 --copy-to pets-tenth

    Parameters
    ----------
    source
        A manifest, or what `impasto data scan` takes.
    count
        How many pictures; or
    fraction
        which part of them.
    grouped
        Take the same part of every group, too.
    seed
        Another one takes others.
    copy_to
        A new folder for copies, as split/label/file.
    link_to
        A new folder for symbolic links, likewise.
    layout
        What the levels of a folder are, as for `impasto data scan`.
    out
        The manifest to write.
    replace
        Write over a manifest that is there.
    voice
        How to speak.
    """
    from impasto.learning.sample import materialise
    from impasto.learning.sample import sample as craft

    if copy_to and link_to:
        raise UsageError("--copy-to and --link-to: one of the two, please")
    _require_writable(out, source, replace=replace)
    chosen = craft(_read(source, layout, voice), count=count, fraction=fraction, grouped=grouped, seed=seed)
    if folder := copy_to or link_to:
        with listener(voice) as bar:
            materialise(chosen, folder, how="copy" if copy_to else "link", progress=bar.part)
    chosen.save(out)
    _report(chosen, out, voice)


@data.command
def audit(
    source: Path,
    /,
    *,
    layout: str = "auto",
    out: Path | None = None,
    voice: Voice = QUIET,
) -> int:
    """Find what is wrong with the pictures before anything is trained on them.

    Exact and near duplicates, mirrored, turned and cropped copies, groups on two sides of a split, pictures with two
    labels, broken files, classes that are tiny, uneven or missing, and whether the group can be seen in the picture.
    The exit code is 1 when there are errors.

    Examples:

        impasto data audit data.parquet
        impasto data audit pets --out audit.html
        impasto data audit pacs-mini --layout "{group}/{label}" --json

    Parameters
    ----------
    source
        A manifest, or what `impasto data scan` takes.
    layout
        What the levels of a folder are, as for `impasto data scan`.
    out
        A report with all the pictures concerned, as .html or .json.
    voice
        How to speak.
    """
    from impasto.images import require_writable
    from impasto.learning.audit import audit as craft
    from impasto.learning.audit.report import facts, require_format, summary, write_report

    if out:
        require_format(out)
        require_writable(out)
    manifest = _read(source, layout, voice)
    with listener(voice) as bar:
        findings = craft(manifest, progress=bar.part)
    if out:
        write_report(out, manifest, findings)
    lines = [f"{one.severity:>7}  {one.check}: {one.message}" for one in findings]
    lines.append(
        f"{source}  {len(manifest):,} pictures, {summary(findings)}"
        + (f"; {out} {'has the pictures' if findings else 'says so'}" if out else "")
    )
    say("\n".join(lines), voice, **facts(manifest, findings))
    return 1 if any(one.severity == "error" for one in findings) else 0


def _read(source: Path, layout: str, voice: Voice) -> Manifest:
    from impasto.learning.scan import read_data

    with listener(voice) as bar:
        return read_data(source, layout=layout, progress=bar.part)


def _require_writable(out: Path, source: Path | None = None, *, replace: bool) -> None:
    """Refuse, before the work, a manifest's file that cannot be written or would take the place of something else."""
    from impasto.images import require_writable
    from impasto.learning.scan import is_manifest

    if out.suffix.lower() not in (".parquet", ".pq"):
        raise UsageError(f"{out}: a manifest is a Parquet file; name it {out.with_suffix('.parquet').name}")
    if source and source.resolve() == out.resolve():
        raise UsageError(f"{out} is what is read: name another file with --out")
    if out.exists() and not is_manifest(out):
        raise UsageError(f"{out} exists and is no manifest of impasto's: name another file with --out")
    if out.exists() and not replace:
        raise UsageError(f"{out} exists: say --replace to write over it, or name another file with --out")
    require_writable(out)


def _warnings(source: Path, manifest: Manifest) -> Iterator[str]:
    """What is odd about a manifest that was just scanned; the commands that follow refuse it, if it matters to them."""
    from impasto.learning.scan import files_of, look

    broken = [file for file, width in zip(files_of(manifest), manifest.column("width"), strict=True) if width is None]
    if broken:
        yield f"{len(broken)} of {len(manifest)} pictures cannot be read, the first: {look(broken[0]).error}"
    if len(manifest.classes) == 1:
        yield f"{source} has one class only, {manifest.classes[0]}: nothing can be told apart"


def _report(manifest: Manifest, out: Path, voice: Voice) -> None:
    """Say what a manifest holds."""
    counts = {name or "no split yet": count for name, count in manifest.counts("split").items()}
    groups = {group for group in manifest.column("group") if group is not None}
    classes = manifest.classes
    words = [f"{len(manifest):,} pictures"]
    if classes:
        words.append(f"{len(classes)} class{'es' * (len(classes) > 1)} ({_few(classes)})")
    if groups:
        words.append(f"{len(groups)} group{'s' * (len(groups) > 1)}")
    words.append(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    say(
        f"{out}  {'; '.join(words)}",
        voice,
        out=out,
        pictures=len(manifest),
        classes=classes,
        groups=len(groups),
        splits=counts,
        sha256=manifest.sha256,
    )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + ("" if len(names) <= 3 else ", …")
