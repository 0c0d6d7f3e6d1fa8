"""impasto embed: the pictures of a folder laid out by what a layer makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.output import chosen, listener, shown_default
from impasto.cli.subject import load_subject
from impasto.cli.terminal import QUIET, Voice, say
from impasto.errors import UsageError
from impasto.inspection.folder.options import EmbeddingOptions


def embed(
    folder: Path,
    /,
    *,
    out: Path | None = None,
    options_file: Annotated[Path | None, Parameter(name="--options")] = None,
    options: Annotated[
        EmbeddingOptions,
        Parameter(name="*", group="Embedding", consume_multiple=True, negative="", show_default=shown_default),
    ] = EmbeddingOptions(),
    voice: Voice = QUIET,
) -> int:
    """Lay out the pictures of FOLDER so that those lie together of which a layer thinks alike.

    What comes out is one HTML page of all pictures, to look through by mouse, touch and keyboard, without any server.
    It says how far each layout can be trusted. Folders in FOLDER, or an idx file's labels, colour the pictures.

    Examples:

        impasto embed photos/
        impasto embed mnist/ --tap pixels --methods pca tsne umap
        impasto embed photos/ --network squeezenet1_0 --tap features.12 --methods umap --most 2000

    Parameters
    ----------
    folder
        The pictures, in whatever folders they are below it; or MNIST's idx files.
    out
        Where to write the page. Default: FOLDER-scatter.html here.
    options_file
        A YAML file of options; flags go over it.
    options
        How to lay out.
    voice
        How to speak.
    """
    options = chosen(EmbeddingOptions, options_file, options)
    out = checked_page(out, f"{folder.resolve().name}-scatter")
    from impasto.inspection.folder.embed import embed as verb

    with listener(voice) as bar:
        network = load_subject(options.network, options.weights, bar.download)
        found = verb(folder, network=network, options=options, progress=bar.part)
    found.save(out)
    judged = ", ".join(f"{one.method} {one.trustworthiness:.3f}" for one in found.embeddings)
    say(
        f"{out}  {len(found.names)} pictures by {found.tap}; trustworthiness {judged}",
        voice,
        out=out,
        tap=found.tap,
        pictures=len(found.names),
        embeddings=[
            {
                "method": one.method,
                "trustworthiness": one.trustworthiness,
                "agreement": one.agreement,
                "seconds": round(one.seconds, 2),
                "about": one.about,
            }
            for one in found.embeddings
        ],
    )
    return 0


def checked_page(out: Path | None, stem: str) -> Path:
    """Where a page goes, once it is sure that it can be written there."""
    from impasto.images import require_writable

    out = out or Path(f"{stem}.html")
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{out} is no name of a page: end it in .html")
    require_writable(out)
    return out
