"""Is pocket as good to paint with as VGG-19? The same loss, schedule and number of steps on both, judged by VGG-19.

    uv run python benchmarks/pocket.py --shared ../shared --work /tmp/pocket-benchmark

Pictures are kept in --work, so a second run goes on where the first was stopped; --sheet writes the contact sheet.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from impasto import networks, read, stylize, write
from impasto.images import Picture
from impasto.images.colour import to_oklab
from impasto.images.contact_sheet import contact_sheet
from impasto.images.resize import fit, resize
from impasto.losses.statistics import gram, second_moment_sums
from impasto.synthesis.calibration import Style, style_transfer_objective
from impasto.synthesis.preparation import style_size

CONTENTS = ("tubingen", "golden_gate", "brad_pitt")
PAINTINGS = ("starry_night_google", "the_scream", "great_wave", "woman_with_hat_matisse", "la_muse", "seated-nude")
JUDGES = ("relu1_1", "relu2_1", "relu3_1")
STRENGTH = 0.54
STEPS = 25


def main() -> None:
    """Paint every pair with both networks, and print the four figures of merit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--work", type=Path, default=Path("runs/pocket-benchmark"))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--contents", nargs="+", default=CONTENTS)
    parser.add_argument("--paintings", nargs="+", default=PAINTINGS)
    parser.add_argument("--painters", nargs="+", default=["pocket", "vgg19"], choices=["pocket", "vgg19"])
    parser.add_argument("--sheet", type=Path, help="where to write the contact sheet")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    weights = options.shared / "weights" / "vgg19_to_conv3_4.safetensors"
    vgg = networks.load("vgg19", weights=weights)
    settings_of = {"pocket": {"network": "pocket"}, "vgg19": {"network": "vgg19", "weights": weights}}
    painters = {name: settings_of[name] for name in options.painters}

    rows, sheet = [], []
    print(
        "| content | painting | painter | relu1_1 % | relu2_1 % | relu3_1 % | chroma noise | seconds |\n"
        + "|---" * 8
        + "|"
    )
    for content_name in options.contents:
        for painting_name in options.paintings:
            content_path = options.shared / "data" / "contents" / f"{content_name}.jpg"
            painting_path = options.shared / "data" / "paintings" / f"{painting_name}.jpg"
            content, style = read(content_path).pixels, read(painting_path).pixels
            size = fit(content.shape[-2:], options.size)
            content = resize(content, size).clamp(0, 1)
            style = resize(style, style_size(style.shape[-2:], size, 1.0)).clamp(0, 1)
            cells = [(content_name, content), (painting_name, style)]
            for painter, settings in painters.items():
                picture, seconds = painted(options, painter, settings, content_path, painting_path)
                closed = gap_closed(vgg, picture, content, style)
                row = {
                    "painter": painter,
                    "closed": closed,
                    "noise": chroma_noise(picture, content),
                    "seconds": seconds,
                }
                rows.append(row)
                figures = " | ".join(f"{value:.2f}" for value in closed)
                print(
                    f"| {content_name} | {painting_name} | {painter} | {figures} | {1e6 * row['noise']:.1f} | {seconds:.0f} |",
                    flush=True,
                )
                cells.append((painter, picture))
            sheet.append(cells)
    print(
        "\n| painter | mean relu1_1 | mean relu2_1 | mean relu3_1 | worst of all | chroma noise |\n|---|---|---|---|---|---|"
    )
    for painter in painters:
        own = [row for row in rows if row["painter"] == painter]
        closed = torch.tensor([row["closed"] for row in own])
        noise = sum(row["noise"] for row in own) / len(own)
        means = " | ".join(f"{value:.2f}" for value in closed.mean(0))
        print(f"| {painter} | {means} | {closed.min():.2f} | {1e6 * noise:.1f} |")
    if options.sheet:
        write(options.sheet, Picture(contact_sheet(sheet, height=300)), quality=85)
    print_times(vgg, options.size)


def painted(options, painter: str, settings: dict, content: Path, painting: Path) -> tuple[torch.Tensor, float]:
    """The picture by one painter, from --work when it is there already, and the seconds that it took."""
    path = options.work / f"{content.stem}-{painting.stem}-{painter}.png"
    note = path.with_suffix(".json")
    if not note.exists():
        began = time.monotonic()
        # "best" is the big network at every scale, so both make the same steps at the same sizes
        same = {"size": options.size, "strength": STRENGTH, "steps": STEPS, "quality": "best"}
        result = stylize(content, painting, **same | settings)
        result.save(path)
        note.write_text(json.dumps({"seconds": time.monotonic() - began, "steps": len(result.history)}))
    return read(path).pixels, json.loads(note.read_text())["seconds"]


@torch.no_grad()
def gap_closed(vgg: networks.Network, picture: torch.Tensor, content: torch.Tensor, style: torch.Tensor) -> list[float]:
    """Per cent of the squared Gram distance between photograph and painting that the picture has closed, by tap."""
    taps = networks.Taps(vgg, JUDGES)
    grams = [{tap: gram(second_moment_sums(f)) for tap, f in taps(x).items()} for x in (picture, content, style)]
    done, start, goal = grams
    return [100 * float(1 - (done[t] - goal[t]).square().sum() / (start[t] - goal[t]).square().sum()) for t in JUDGES]


def chroma_noise(picture: torch.Tensor, content: torch.Tensor) -> float:
    """Energy of OkLab's a and b above a blur of 2 pixels, in the flattest quarter of the photograph."""
    lightness = to_oklab(content)[:, :1]
    mean = F.avg_pool2d(lightness, 9, 1, 4)
    variance = F.avg_pool2d((lightness - mean).square(), 9, 1, 4)
    flat = variance <= variance.flatten().kthvalue(variance.numel() // 4).values
    chroma = to_oklab(picture)[:, 1:]
    reach = torch.arange(-6, 7, dtype=torch.float32)
    bell = torch.exp(-(reach**2) / 8)
    bell = bell / bell.sum()
    kernel = bell.view(1, 1, 1, -1).expand(2, 1, 1, -1)
    blurred = F.conv2d(F.pad(chroma, (6, 6, 6, 6), "reflect"), kernel, groups=2)
    blurred = F.conv2d(blurred, kernel.transpose(2, 3), groups=2)
    return float(((chroma - blurred).square().sum(1, keepdim=True) * flat).sum() / flat.sum())


def print_times(vgg: networks.Network, size: int, rounds: int = 7) -> None:
    """Median seconds of one evaluation of each network, taken in turns."""
    image, style = torch.rand(1, 3, size, size), torch.rand(1, 3, size, size)
    pocket = networks.load("pocket")
    objectives = {
        "vgg19 to relu3_3": (vgg, JUDGES, ("relu3_3",)),
        "pocket": (pocket, pocket.style_taps, pocket.content_taps),
    }
    seconds: dict[str, list[float]] = {name: [] for name in objectives}
    built = {
        name: style_transfer_objective(
            networks.Taps(net, (*taps, *content)), image, [Style(lambda: style)], losses=[("gram", 1.0)],
            style_taps=taps, content_taps=content, strength=0.5,
        )
        for name, (net, taps, content) in objectives.items()
    }  # fmt: skip
    for _ in range(rounds):
        for name, objective in built.items():
            began = time.perf_counter()
            objective(style)
            seconds[name].append(time.perf_counter() - began)
    medians = {name: sorted(values)[rounds // 2] for name, values in seconds.items()}
    print(f"\n| evaluation at {size}×{size} | seconds | against VGG-19 |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.3f} | 1/{medians['vgg19 to relu3_3'] / value:.1f} |")


if __name__ == "__main__":
    main()
