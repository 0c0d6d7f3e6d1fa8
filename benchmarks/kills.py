"""A run that is killed at random moments and resumed, again and again: is its picture the same, bit for bit?

uv run python benchmarks/kills.py --kills 100
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from impasto.images import read

WORK = """
import sys
from pathlib import Path
from impasto.runs.directory import RunDirectory
from impasto.runs.options_file import validate
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.resume import resume
from impasto.synthesis.run import make_in_run
from impasto.synthesis.stylize import prepare
run, content, style = map(Path, sys.argv[1:4])
if (run / "manifest.json").exists():
    if RunDirectory.open(run).status != "finished":  # killed after its last deed
        resume(run)
else:
    options = validate(StyleTransferOptions, {"size": 256, "steps": 30, "optimizer": sys.argv[4], "average": 0.5, "tile": 128})
    make_in_run(prepare(content, [style], options), run, every=0)
"""


def main() -> None:
    """Print a row per optimizer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--kills", type=int, default=100, help="for both optimizers together")
    options = parser.parse_args()
    chance = random.Random(0)
    print("| optimizer | kills | runs | kills before the first checkpoint | identical pictures | identical metrics |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for optimizer in ("lbfgs", "adam"):
            root = Path(folder, optimizer)
            root.mkdir()
            expected, seconds = uninterrupted(options, root, optimizer)
            kills = runs = early = pictures = metrics = 0
            while kills < options.kills // 2:
                run = root / f"run{runs}"
                while True:
                    process = start(options, run, optimizer)
                    if kills < options.kills // 2:
                        time.sleep(chance.uniform(0.3 * seconds, 0.9 * seconds))
                        if process.poll() is None:
                            os.kill(process.pid, signal.SIGKILL)
                            process.wait()
                            kills += 1
                            early += not (run / "checkpoint.safetensors").exists()
                            if not (run / "manifest.json").exists() and run.exists():
                                shutil.rmtree(run)
                            continue
                    if process.wait():
                        sys.exit(f"a resumed run failed in {run}")
                    break
                runs += 1
                found = fingerprint(run)
                pictures += found[0] == expected[0]
                metrics += found[1] == expected[1]
                shutil.rmtree(run)
            print(
                f"| {optimizer} | {kills} | {runs} | {early} | {pictures} of {runs} | {metrics} of {runs} |", flush=True
            )


def uninterrupted(options: argparse.Namespace, root: Path, optimizer: str) -> tuple[tuple[str, str], float]:
    """What a run makes that nobody kills, and how long it takes."""
    run = root / "uninterrupted"
    began = time.perf_counter()
    if start(options, run, optimizer).wait():
        sys.exit("the run failed")
    return fingerprint(run), time.perf_counter() - began


def start(options: argparse.Namespace, run: Path, optimizer: str) -> subprocess.Popen[bytes]:
    """A process that begins the run, or goes on with it."""
    data = options.shared / "data"
    content, style = data / "contents" / "tubingen.jpg", data / "paintings" / "the_scream.jpg"
    return subprocess.Popen([sys.executable, "-c", WORK, str(run), str(content), str(style), optimizer])


def fingerprint(run: Path) -> tuple[str, str]:
    """Hashes of the pixels and of every step's losses."""
    pixels = read(run / "picture.png").pixels.numpy().tobytes()
    return hashlib.sha256(pixels).hexdigest(), hashlib.sha256((run / "metrics.jsonl").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
