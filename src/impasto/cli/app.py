"""The commands, and what becomes of their errors."""

from __future__ import annotations

import logging

from cyclopts import App, CycloptsError
from pydantic import ValidationError

from impasto import __version__
from impasto.cli.activations import activations
from impasto.cli.atlas import atlas
from impasto.cli.augment_search import augment_search
from impasto.cli.benchmark import benchmark
from impasto.cli.data import data
from impasto.cli.degrade import degrade
from impasto.cli.demo import demo
from impasto.cli.dream import dream
from impasto.cli.embed import embed
from impasto.cli.enhance import enhance
from impasto.cli.evaluate import evaluate
from impasto.cli.explain import explain
from impasto.cli.export import export
from impasto.cli.features import features
from impasto.cli.fool import fool
from impasto.cli.invert import invert
from impasto.cli.landscape import landscape
from impasto.cli.models import models
from impasto.cli.neighbours import neighbours
from impasto.cli.networks import networks
from impasto.cli.patches import patches
from impasto.cli.recipes import rerun, resume, show
from impasto.cli.report import report
from impasto.cli.runs import runs
from impasto.cli.sample_size import sample_size
from impasto.cli.segment import segment
from impasto.cli.stylize import stylize
from impasto.cli.submit import submit
from impasto.cli.surgery import surgery
from impasto.cli.terminal import Warnings, complain
from impasto.cli.texture import texture
from impasto.cli.train import train
from impasto.cli.train_gan import gan, generate
from impasto.cli.visualize import visualize
from impasto.errors import ImpastoError, UsageError

HELP = "Paint with pretrained image networks, look inside them, and retrain them."

EXAMPLES = """Examples:

    impasto demo
    impasto stylize photo.jpg painting.jpg
    impasto stylize photo.jpg painting.jpg --strength 0.8 --color keep --size 1500
    impasto texture bark.jpg --size 1024x1024 --tileable
    impasto invert photo.jpg --taps relu3_1
    impasto rerun photo-painting.png
    impasto visualize --network squeezenet1_0 --unit features.12:0-31
    impasto explain photo.jpg --network squeezenet1_0
    impasto atlas --network pocket --images photos/ --out site/
    impasto degrade photos/ --recipe crappify --preview sheet.png
    impasto train enhance photos/ --task superres --scale 2
    impasto data audit pets/
    impasto train classify pets/
    impasto submit runs/202611211200-train-pets-squeezenet1_0 test-pictures/

`impasto COMMAND --help` explains a command and its options.
"""

app = App(
    name="impasto",
    help=HELP,
    help_epilogue=EXAMPLES,
    help_format="plaintext",
    version=__version__,
    suppress_keyboard_interrupt=False,
)
for command in (
    demo,
    stylize,
    texture,
    invert,
    resume,
    rerun,
    show,
    augment_search,
    evaluate,
    report,
    submit,
    landscape,
    atlas,
    visualize,
    dream,
    explain,
    fool,
    patches,
    neighbours,
    embed,
    activations,
    enhance,
    models,
    degrade,
    segment,
    generate,
    benchmark,
    export,
):
    app.command(command, help_epilogue="")
data.command(features)
train.command(gan)
data.command(sample_size)
networks.command(surgery)
for group in (data, train, runs, networks):
    app.command(group)
app.register_install_completion_command()


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every foreseen error becomes one line."""
    as_json, debug = "--json" in arguments, "--debug" in arguments
    logging.getLogger("impasto").handlers[:] = [Warnings(as_json)]
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        complain(_plain(error), as_json=as_json)
        return 2
    except ImpastoError as error:
        if debug:
            raise
        complain(error, as_json=as_json, own=not isinstance(error, UsageError))
        return error.exit_code
    except MemoryError:
        if debug:
            raise
        complain("out of memory: a smaller --size or --batch-size needs less", as_json=as_json, own=True)
        return 1
    except KeyboardInterrupt as stop:
        pictures = {"stylize", "texture", "invert", "demo", "visualize", "dream", "enhance", "segment"}
        makes_pictures = pictures.intersection(arguments[:1])
        before = " before there was a picture" if makes_pictures else ""
        complain("; ".join([f"stopped{before}", *getattr(stop, "__notes__", ())]), as_json=as_json)
        return 1
    except Exception as error:
        if debug:
            raise
        line = f"unexpected {type(error).__name__}: {error} (--debug shows where; please report it)"
        complain(line, as_json=as_json, own=True)
        return 1


def _plain(error: CycloptsError) -> str:
    """A usage error as one line; what pydantic found is said as the options files say it."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ValidationError):
        from impasto.runs.options_file import describe

        lines = ((problem["loc"], describe(problem)) for problem in cause.errors())
        return "; ".join("--" + line.replace("_", "-", 1) if where else line for where, line in lines)
    return str(error)
