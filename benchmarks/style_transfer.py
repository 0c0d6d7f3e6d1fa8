"""Ours against the plain method of Gatys et al. on VGG-19: time to reach its result.

    uv run python benchmarks/style_transfer.py --shared ../shared --work /tmp/style-benchmark

The plain method is written out here: one scale, starting at the photograph, torch's L-BFGS with 100 pairs of history
and a strong-Wolfe line search, 500 evaluations. Both minimise Gram distances at relu1_1, relu2_1, relu3_1 and content
at relu3_3. Judged by Gram distances at full, half and quarter resolution together, each as a part of the photograph's
own, and by the content distance. Pictures are kept in --work; a second run goes on where the first was stopped.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from impasto import networks, read, stylize, write
from impasto.images import Picture
from impasto.images.contact_sheet import contact_sheet
from impasto.images.resize import fit, resize
from impasto.synthesis.preparation import style_size

PAINTINGS = ("starry_night_google", "the_scream", "woman_with_hat_matisse")
STYLE, CONTENT = ("relu1_1", "relu2_1", "relu3_1"), "relu3_3"
EVALUATIONS, HISTORY = 500, 100
# Weight of the plain method's content term (its part lost, 0 to 1) against a style term that starts at 1.
CONTENT_WEIGHT = 0.02


def main() -> None:
    """Paint tubingen in three styles by every method, and print times and judgements."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--work", type=Path, default=Path("runs/style-benchmark"))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--strength", type=float, default=0.21)
    parser.add_argument("--paintings", nargs="+", default=PAINTINGS)
    parser.add_argument("--qualities", nargs="*", default=("draft", "good", "best"))
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    weights = options.shared / "weights" / "vgg19_to_conv3_4.safetensors"
    vgg = networks.load("vgg19", weights=weights)
    photo = options.shared / "data" / "contents" / "tubingen.jpg"
    content = read(photo).pixels
    content = resize(content, fit(content.shape[-2:], options.size)).clamp(0, 1)
    sheet = []
    print("| painting | method | multi-scale style | content | CPU seconds | style / plain | content / plain | time |")
    print("|---" * 8 + "|")
    for name in options.paintings:
        painting = options.shared / "data" / "paintings" / f"{name}.jpg"
        style = read(painting).pixels
        style = resize(style, style_size(style.shape[-2:], content.shape[-2:], 1.0)).clamp(0, 1)

        def ours(quality: str, painting: Path = painting) -> torch.Tensor:
            settings = {"network": "vgg19", "weights": weights, "quality": quality, "strength": options.strength}
            return stylize(photo, painting, size=options.size, **settings).tensor

        methods = {"plain": lambda style=style: plain(vgg, content, style)}
        methods |= {quality: lambda quality=quality, ours=ours: ours(quality) for quality in options.qualities}
        cells, reference = [("content", content), (name, style)], None
        for method, paint in methods.items():
            picture, seconds = kept(options.work / f"{name}-{method}.png", paint)
            judged = (*judge(vgg, picture, content, style), seconds)
            reference = reference or judged
            against = [value / plain_value for value, plain_value in zip(judged, reference, strict=True)]
            print(
                f"| {name} | {method} | {judged[0]:.4f} | {judged[1]:.3f} | {seconds:.0f} "
                f"| {against[0]:.2f} | {against[1]:.2f} | 1/{1 / against[2]:.1f} |",
                flush=True,
            )
            cells.append((f"{method}: {seconds:.0f} s", picture))
        sheet.append(cells)
    if options.sheet:
        write(options.sheet, Picture(contact_sheet(sheet, height=300)), quality=85)


def plain(vgg: networks.Network, content: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """The plain method, in torch alone but for the network's layers."""
    layers = [layer for _, layer in vgg.trunk]
    names = {path: name for name, path in vgg.aliases.items()}
    wanted = [names[path] for path, _ in vgg.trunk]
    mean, std = torch.tensor(vgg.mean).view(1, 3, 1, 1), torch.tensor(vgg.std).view(1, 3, 1, 1)

    def features(image: torch.Tensor) -> dict[str, torch.Tensor]:
        x, found = ((image - mean) / std).contiguous(memory_format=torch.channels_last), {}
        for name, layer in zip(wanted, layers, strict=True):
            x = torch.relu_(x) if isinstance(layer, torch.nn.ReLU) else layer(x)
            found[name] = x
            if name == CONTENT:
                return found
        return found

    def gram(f: torch.Tensor) -> torch.Tensor:
        flat = f[0].permute(1, 2, 0).reshape(-1, f.shape[1])
        return flat.T @ flat / len(flat)

    with torch.no_grad():
        of_content, of_style = features(content), features(style)
        targets = {tap: gram(of_style[tap]) for tap in STYLE}
        gaps = {tap: (gram(of_content[tap]) - targets[tap]).square().sum() for tap in STYLE}
        kept_content = of_content[CONTENT].clone()
        size = (kept_content - kept_content.mean((2, 3), keepdim=True)).square().sum()
    image = content.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [image], max_iter=EVALUATIONS, max_eval=EVALUATIONS, history_size=HISTORY,
        tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        f = features(image)
        loss = sum((gram(f[tap]) - targets[tap]).square().sum() / gaps[tap] for tap in STYLE) / len(STYLE)
        loss = loss + CONTENT_WEIGHT * (f[CONTENT] - kept_content).square().sum() / size
        loss.backward()
        return loss

    optimizer.step(closure)
    return image.detach().clamp(0, 1)


@torch.no_grad()
def judge(vgg: networks.Network, picture, content, style) -> tuple[float, float]:
    """Gram distances at full, half and quarter size as a part of the photograph's own (mean of nine), and content."""
    taps = networks.Taps(vgg, (*STYLE, CONTENT))

    def grams(image: torch.Tensor, part: int) -> dict[str, torch.Tensor]:
        small = resize(image, (image.shape[2] // part, image.shape[3] // part)).clamp(0, 1)
        flat = {tap: f.flatten(2)[0] for tap, f in taps(small).items() if tap in STYLE}
        return {tap: f @ f.T / f.shape[1] for tap, f in flat.items()}

    ratios = []
    for part in (1, 2, 4):
        done, start, goal = grams(picture, part), grams(content, part), grams(style, part)
        ratios += [float((done[t] - goal[t]).square().sum() / (start[t] - goal[t]).square().sum()) for t in STYLE]
    shown, original = taps(picture)[CONTENT], taps(content)[CONTENT]
    lost = (shown - original).square().sum() / (original - original.mean((2, 3), keepdim=True)).square().sum()
    return sum(ratios) / len(ratios), float(lost)


def kept(path: Path, paint) -> tuple[torch.Tensor, float]:
    """The picture from the work folder, or painted now; and the CPU seconds that painting took."""
    note = path.with_suffix(".json")
    if not note.exists():
        began = time.process_time()  # of all threads: other work on the machine does not count
        write(path, Picture(paint()))
        note.write_text(json.dumps({"seconds": time.process_time() - began}))
    return read(path).pixels, json.loads(note.read_text())["seconds"]


if __name__ == "__main__":
    main()
