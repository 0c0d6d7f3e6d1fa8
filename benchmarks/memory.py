"""Peak memory against the size of the picture: whole commands, reading and writing included, in processes of their own.

uv run --with matplotlib python benchmarks/memory.py --plot memory.png     # pocket, 3 to 50 megapixels, --memory 3
uv run python benchmarks/memory.py --sizes 8192 --memory 8 --steps 3
uv run python benchmarks/memory.py --sizes 8192 --memory 8 --steps 1 --network vgg19
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Print a row per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 2896, 4096, 5792, 8192], help="longest sides")
    parser.add_argument("--network", default="pocket", choices=["pocket", "vgg19"])
    parser.add_argument("--memory", default="3")
    parser.add_argument("--steps", default="1", help="at the finest scale")
    parser.add_argument("--scales", default="1", help="how many scales; 0 for all of them")
    parser.add_argument("--plot", type=Path, help="a picture of the curve")
    options = parser.parse_args()
    rows = []
    print("| size | megapixels | network | steps | peak GiB | picture float32 GiB | minutes |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for side in options.sizes:
            height = side * 3 // 4
            photo = Path(folder, f"{side}.jpg")
            enlarge(options.shared / "data" / "contents" / "tubingen.jpg", photo, side, height)
            began = time.perf_counter()
            peak = run(options, photo, side, Path(folder, "out.tif"))
            minutes = (time.perf_counter() - began) / 60
            picture = 12 * side * height / 2**30
            rows.append((side * height / 1e6, peak, picture))
            print(
                f"| {side}×{height} | {side * height / 1e6:.1f} | {options.network} | {options.steps} | {peak:.2f} "
                f"| {picture:.2f} | {minutes:.1f} |",
                flush=True,
            )
    if options.plot:
        draw(rows, options.plot)


def run(options: argparse.Namespace, photo: Path, side: int, out: Path) -> float:
    """Peak resident memory of `impasto stylize`, in GiB."""
    command = [sys.executable, "-m", "impasto", "stylize", str(photo)]
    command += [str(options.shared / "data" / "paintings" / "starry_night_google.jpg"), "--out", str(out), "--json"]
    command += ["--size", str(side), "--steps", options.steps, "--memory", options.memory, "--run", f"{photo}.run"]
    if options.scales != "0":
        command += ["--scales", options.scales]
    if options.network != "pocket":
        weights = options.shared / "weights" / "vgg19_to_conv3_4.safetensors"
        command += ["--network", options.network, "--weights", str(weights)]
        command += ["--quality", "best" if options.scales == "1" else "good"]
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=nothing)
    assert process.stdout
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    assert json.loads(said)["finished"]
    return usage.ru_maxrss / 2**20


def enlarge(source: Path, target: Path, width: int, height: int) -> None:
    """A photograph of any size."""
    import pyvips

    image = pyvips.Image.new_from_file(str(source))
    image.resize(width / image.width, vscale=height / image.height).write_to_file(f"{target}[Q=90]")


def draw(rows: list[tuple[float, float, float]], path: Path) -> None:
    """Peak memory and the picture's own size over megapixels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    megapixels = [row[0] for row in rows]
    axes.plot(megapixels, [row[1] for row in rows], "o-", label="peak resident memory")
    axes.plot(megapixels, [row[2] for row in rows], "s--", label="one picture in float32")
    axes.plot(megapixels, [row[1] - 9 * row[2] for row in rows], ":", label="peak less nine such pictures")
    axes.set(xlabel="megapixels", ylabel="GiB", ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
