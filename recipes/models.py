"""Train the models that impasto ships: `uv run python recipes/models.py superres-x2 --work runs/models`.

Each is trained by what users train with, `impasto.train_enhancement`, on the photographs in data/photos alone; a killed
run goes on where it was when the script is called again. Then it is judged by the published protocol, and written with
its card to the package. To go on with more time or on a GPU: `--epochs 200 --device cuda`, or `--init runs/…`.
"""

import argparse
import json
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from impasto.images.replace import replace_file
from impasto.runs.directory import RunDirectory
from impasto.translation import model as models
from impasto.translation.benchmark import benchmark
from impasto.translation.pictures import split
from impasto.translation.realism import between
from impasto.translation.train_enhancement import resume, train_enhancement

ASSETS = Path(models.__file__).parents[1] / "assets" / "models"
TRAINED_ON = "209 photographs of CID22 (Sneyers, Ben Baruch, Vaxman 2023), CC BY-SA 4.0"

LIGHT = {"architecture": "light", "width": 48, "blocks": 8, "precision": "bf16-mixed", "valid": 0.05}
UNET = {
    "architecture": "unet",
    "encoder": "pocket",
    "width": 48,
    "crops": 8,
    "batch_size": 8,
    "precision": "bf16-mixed",
    "valid": 0.05,
}

# What each learns; the epochs are what two cores do in about half an hour.
RECIPES: dict[str, dict[str, Any]] = {
    "superres-x2": LIGHT | {"task": "superres", "scale": 2, "stages": ("all:30@96*1e-3",), "size": 96},
    "superres-x4": LIGHT | {"task": "superres", "scale": 4, "stages": ("all:20@192*1e-3",), "size": 192},
    "superres-x4-real": LIGHT
    | {
        "task": "superres",
        "scale": 4,
        "stages": ("all:4@128*3e-4", "gan:6@128"),
        "size": 128,
        "crops": 4,
        "batch_size": 8,
        "features": 0.3,
        "gram": 0.3,
        "critic": "patch",
    },
    "restore-jpeg": LIGHT
    | {"task": "restore", "recipe": "jpeg:8~60", "gray": 0.7, "stages": ("all:25@96*1e-3",), "size": 96},
    "restore-photo": LIGHT
    | {"task": "restore", "recipe": "jpeg-denoise", "gray": 0.1, "stages": ("all:4@96*1e-3",), "size": 96},
    # squared errors and much of every picture in a crop: less pale, and more of one piece
    "colorize": UNET
    | {
        "task": "colorize",
        "stages": ("decoder:2@128*1e-3", "all:5@128*1e-3"),
        "crops": 4,
        "zooms": (0.7, 0.5, 0.35, 0.25),
        "discriminative": 0.1,
        "pixel_loss": "mse",
        "weight_decay": 0.05,
    },
    # by squared errors it finds the letters, by Charbonnier's it learns to leave all else as it is
    "remove-text-first": UNET
    | {"task": "restore", "recipe": "text", "stages": ("all:24@128*1e-3",), "discriminative": 0.1, "pixel_loss": "mse"},
    "remove-text": UNET
    | {
        "task": "restore",
        "recipe": "text",
        "stages": ("all:8@128*3e-4",),
        "discriminative": 0.1,
        "pixel_loss": "charbonnier",
    },
}
# What begins with another's weights (Lim et al. 2017, section 4.1: x4 from x2).
BEGIN_WITH = {
    "superres-x4": "superres-x2",
    "superres-x4-real": "superres-x4",
    "restore-jpeg": "superres-x2",
    "restore-photo": "restore-jpeg",
    "remove-text": "remove-text-first",
}
# What `impasto enhance --realism` goes to.
COMPANIONS = {"superres-x4": "superres-x4-real"}
# How far a companion goes from the model towards what it came to; further, a grid of the pixels that it shuffles shows.
PARTS = {"superres-x4-real": 0.65}
# At how many pixels a colorization finds colours: about what it has learnt from.
RENDERS = {"colorize": 160}

# What each is judged by: a folder below data, or the photographs that were kept for validation; how; and the score.
JUDGED: dict[str, tuple[str | None, dict[str, Any], str]] = {
    "superres-x2": ("super-resolution/Set5", {"scale": 2}, "psnr"),
    "superres-x4": ("super-resolution/Set5", {"scale": 4}, "psnr"),
    "superres-x4-real": ("super-resolution/Set5", {"scale": 4}, "psnr"),
    "restore-jpeg": ("jpeg/classic5", {"quality": 10, "gray": True}, "psnr"),
    "restore-photo": (None, {"recipe": "noise:20 jpeg:50"}, "psnr"),
    "colorize": (None, {"recipe": "colorize"}, "psnr_chroma"),
    "remove-text": (None, {"recipe": "text"}, "psnr"),
}

ABOUT = {
    "superres-x2": "enlarges twice; for clean pictures that were made smaller",
    "superres-x4": "enlarges four times; for clean pictures that were made smaller",
    "superres-x4-real": "enlarges four times and invents the texture that seems to be missing",
    "restore-jpeg": "removes the blocks and rings of JPEG files of quality 8 to 60",
    "restore-photo": "removes noise and the traces of JPEG",
    "colorize": "gives colours to gray pictures: warm skin and stone, cool skies; paler than the truth",
    "remove-text": "removes text laid over a picture",
}


def main() -> None:
    """Train one model, and write it to the package."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="where data/photos lies")
    parser.add_argument("--work", type=Path, default=Path("runs/models"), help="where the runs are kept")
    parser.add_argument("--epochs", type=int, help="of the last stage, instead of the recipe's")
    parser.add_argument("--stages", nargs="+", help="instead of the recipe's, to go on with --init")
    parser.add_argument("--init", help="a model or run to begin with, instead of the recipe's")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()

    how = dict(RECIPES[options.name])
    how["stages"] = tuple(options.stages or how["stages"])
    if options.epochs:
        layers, rest = how["stages"][-1].split(":", 1)
        how["stages"] = (*how["stages"][:-1], layers + ":" + str(options.epochs) + rest.lstrip("0123456789"))
    begin_with = options.init or (options.work / BEGIN_WITH[options.name] if options.name in BEGIN_WITH else None)
    run = options.work / options.name
    began = time.monotonic()
    last = -1.0

    def tell(progress: Any) -> None:
        nonlocal last
        if time.monotonic() - last > 30:
            last = time.monotonic()
            print(f"{100 * progress.done:5.1f} % {progress.where} {progress.losses}", flush=True)

    if not (run / "manifest.json").exists():
        init = (
            {"init": str(Path(begin_with).absolute() if Path(begin_with).exists() else begin_with)}
            if begin_with
            else {}
        )
        train_enhancement(
            options.shared / "data" / "photos", run=run, progress=tell, device=options.device, **how, **init
        )
    elif RunDirectory.open(run).status != "finished":
        resume(run, progress=tell)
    print(f"trained in {time.monotonic() - began:.0f} s", flush=True)
    if options.name in ABOUT:  # others are what these begin with
        ship(options.name, run, options.shared / "data")


def ship(name: str, run: Path, data: Path) -> None:
    """Write the model of a finished run to the package, with its card."""
    model = models.load(run)
    begun_with = RunDirectory.open(run).options["init"]
    steps, seconds = cost(run)
    machine = RunDirectory.open(run).manifest["made_with"]
    card = {
        "about": ABOUT[name],
        "trained_on": TRAINED_ON,
        "licence": "CC BY-SA 4.0",
        "training": f"{steps} steps in {seconds / 60:.0f} minutes on {machine['device']} ({platform.machine()}, "
        f"{machine['threads']} threads)",
        "recipe": f"recipes/models.py {name}",
        **({"companion": COMPANIONS[name]} if name in COMPANIONS else {}),
        **({"render": RENDERS[name]} if name in RENDERS else {}),
        **({"begun_with": f"{Path(begun_with).name}, of {cost(Path(begun_with))[0]} steps"} if begun_with else {}),
        **{key: model.card[key] for key in ("options", "impasto")},
    }
    ASSETS.mkdir(parents=True, exist_ok=True)
    module = model.module
    if part := PARTS.get(name):
        module = between(models.load(begun_with), model, part).module
        card["between"] = f"the weights lie {part} of the way from {BEGIN_WITH[name]} to those that were trained"
    kept = models.TranslationModel(
        name, module, model.task, model.scale, model.architecture, model.recipe, model.classes, card
    )
    card["figures"] = figures(kept, *JUDGED[name], data)
    models.save(kept, ASSETS / f"{name}.safetensors", half=True)
    replace_file(run / "card.json", json.dumps(card, indent=2).encode())
    print(f"{ASSETS / name}.safetensors", card["figures"], flush=True)


def figures(model: models.TranslationModel, folder: str | None, how: dict[str, Any], score: str, data: Path) -> str:
    """What a model is worth, in a line."""
    with tempfile.TemporaryDirectory() as kept:
        if folder is None:
            for path in split(data / "photos", LIGHT["valid"], 0).valid:
                shutil.copy(path, kept)
        found = benchmark(model, data / folder if folder else Path(kept), device="cpu", **how)
    where = Path(folder).name.capitalize() if folder else f"{len(found.rows)} photographs"
    means = found.mean
    what = " ".join(f"{key} {value}" for key, value in how.items() if key != "gray")
    return f"{where}, {what}: {means.scores[score]:.2f} dB ({score}), {found.baseline} {means.baseline[score]:.2f}"


def cost(run: Path) -> tuple[int, float]:
    """Steps and seconds of a run."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    seconds = [record["seconds"] for record in records if record["kind"] == "epoch"]
    return sum(record["kind"] == "step" for record in records), sum(seconds)


if __name__ == "__main__":
    main()
