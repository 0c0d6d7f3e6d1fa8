"""impasto submit: a contest's CSV from runs and a folder of test pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from impasto.cli.output import listener
from impasto.cli.terminal import QUIET, Voice, say

if TYPE_CHECKING:
    from impasto.learning.calibration import Fitted


def submit(
    first: Path,
    second: Path,
    /,
    *more: Path,
    format: Literal["kaggle"] = "kaggle",
    out: Path = Path("submission.csv"),
    calibrate: bool = True,
    clip: float | None = None,
    id_from: Literal["name", "stem", "number"] | None = None,
    columns: str | None = None,
    flips: Annotated[bool, Parameter(negative="")] = False,
    voice: Voice = QUIET,
) -> None:
    """Classify test pictures by a run, or by several together, and write the CSV that a contest asks for.

    The last argument is the folder of test pictures, what stands before it are runs: `impasto submit RUN … FOLDER`.
    Temperature and clip are fitted on one fold of the validation pictures and scored on another; what they are worth
    is shown beside the course's fixed clips.

    Examples:

        impasto submit runs/202611211200-train-dogs-squeezenet1_0 test/
        impasto submit runs/A runs/B runs/C test/ --out three.csv --flips
        impasto submit runs/A test/ --clip 0.95 --id-from stem --columns id,cat,dog

    Parameters
    ----------
    first
        A run directory.
    second
        The folder of test pictures, or another run.
    more
        Further runs, and the folder.
    format
        What the contest is.
    out
        The file to write.
    calibrate
        Fit the probabilities on the validation pictures.
    clip
        Instead, the most that a probability may be, as the course had it.
    id_from
        What a picture is known by: c12.jpg, c12 or 12. Default: the number for two classes, else the name.
    columns
        The header, with commas: id,label or img and the classes.
    flips
        Look at each picture in the mirror too, and average.
    voice
        How to speak.
    """
    from impasto.learning.submit import submit as make

    everything = [first, second, *more]
    with listener(voice) as bar:
        made = make(
            everything[:-1],
            everything[-1],
            out=out,
            format=format,
            calibrate=calibrate,
            clip=clip,
            id_from=id_from,
            columns=None if columns is None else [one.strip() for one in columns.split(",")],
            flips=flips,
            progress=bar.part,
        )
    facts: dict[str, Any] = {"out": out, "rows": made.rows}
    if made.fitted:
        if not voice.json:
            _print(made.fitted)
        best = made.fitted.calibration
        facts |= {
            "temperature": best.temperature,
            "floor": best.floor,
            "log_losses": {trial.name: list(trial.log_loss) for trial in made.fitted.trials},
            "gain": list(made.fitted.gain),
        }
    say(f"{out}  {made.rows} pictures", voice, **facts)


def _print(fitted: Fitted) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("probabilities", "log loss", "95 %"):
        table.add_column(name, justify="left" if name == "probabilities" else "right")
    for trial in fitted.trials:
        value, low, high = trial.log_loss
        table.add_row(trial.name, f"{value:.4f}", f"{low:.4f}–{high:.4f}" if low == low else "")
    console = Console(highlight=False)
    console.print(f"{fitted.n} validation pictures, fitted on some and scored on the others ({fitted.folds} folds):")
    console.print(table)
    best, gain = fitted.calibration, fitted.gain
    between = f" ({gain.low:+.4f} to {gain.high:+.4f})" if gain.low == gain.low else ""
    console.print(f"temperature {best.temperature:.3f}, no probability below {best.floor:.2g}")
    console.print(f"together they gain {gain.value:+.4f}{between}")
