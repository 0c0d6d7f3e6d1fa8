"""Peak memory and time of `impasto enhance`: whole commands, reading and writing included, in processes of their own.

uv run python benchmarks/enhance_memory.py --model superres-x2                      # 24 megapixels, as PNG and as JPEG
uv run python benchmarks/enhance_memory.py --model superres-x2 --megapixels 2 6 --formats png tif
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
    """Print a row per size and format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--model", default="superres-x2", help="a shipped model, run or file")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[24.0], help="of the picture that goes in")
    parser.add_argument("--formats", nargs="+", default=["png", "jpg"], help="of the result")
    parser.add_argument("--memory", default="4", help="GiB, as the command is told")
    parser.add_argument("--alpha", action="store_true", help="give the picture alpha")
    options, more = parser.parse_known_args()
    print("| model | in, MP | out, MP | format | peak GiB | in and out in float32, GiB | minutes | in MP/s |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in options.megapixels:
            height = round((megapixels * 1e6 / 1.5) ** 0.5)
            width = round(height * 1.5)
            photo = Path(folder, "photo.png" if options.alpha else "photo.jpg")
            source = options.shared / "data" / "contents" / "tubingen.jpg"
            enlarge(source, photo, width, height, options.alpha)
            for suffix in options.formats:
                out = Path(folder, f"out.{suffix}")
                began = time.perf_counter()
                peak, facts = run(["enhance", str(photo), "--out", str(out), "--model", options.model, "--memory",
                                   options.memory, "--json", *more])  # fmt: skip
                seconds = time.perf_counter() - began
                made = facts["width"] * facts["height"] / 1e6
                pictures = 4 * (4 if options.alpha else 3) * (megapixels + made) * 1e6 / 2**30
                print(
                    f"| {facts['model']} | {megapixels:g} | {made:.1f} | {suffix} | {peak:.2f} | {pictures:.2f} "
                    f"| {seconds / 60:.1f} | {megapixels / seconds:.3f} |",
                    flush=True,
                )
                out.unlink()


def run(arguments: list[str]) -> tuple[float, dict]:
    """Peak resident memory of a command, in GiB, and what it said."""
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen(
            [sys.executable, "-m", "impasto", *arguments], stdout=subprocess.PIPE, stderr=nothing
        )
    assert process.stdout
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"impasto {' '.join(arguments)} failed")
    return usage.ru_maxrss / 2**20, json.loads(said)


def enlarge(source: Path, target: Path, width: int, height: int, alpha: bool) -> None:
    """A photograph of any size."""
    import pyvips

    image = pyvips.Image.new_from_file(str(source))
    image = image.resize(width / image.width, vscale=height / image.height)
    if alpha:
        image = image.bandjoin((pyvips.Image.xyz(width, height)[0] * (255 / width)).cast("uchar"))
    image.write_to_file(f"{target}[compression=1]" if alpha else f"{target}[Q=90]")


if __name__ == "__main__":
    main()
