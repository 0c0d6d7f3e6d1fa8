"""An atlas killed at random moments until it is whole: is it the one that was never killed, and how long is a rebuild?

uv run python benchmarks/atlas.py --images ../shared/data/photos --kills 5
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORK = """
import json, sys, time
from impasto.inspection.atlas.build import atlas
if __name__ == "__main__":
    began = time.monotonic()
    made = atlas(sys.argv[1], sys.argv[2], sys.argv[3], size=int(sys.argv[4]), steps=int(sys.argv[5]), layout="pca")
    print(json.dumps([time.monotonic() - began, made.units, made.made]))
"""


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="pocket")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        whole, site = Path(folder, "whole"), Path(folder, "killed")
        first, units, made = finished(start(options, whole))
        again, _, none = finished(start(options, whole))
        kills = lost = 0
        while kills < options.kills:
            process = start(options, site)
            time.sleep(chance.uniform(0.1, 0.9) * first)
            if process.poll() is not None:  # it was done before the kill came: once more from the beginning
                shutil.rmtree(site)
                continue
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            lost += len(list(site.rglob(".part-*")))
        finished(start(options, site))
        same = contents(site) == contents(whole)
    print(
        "| network | units | pieces | first build | rebuild, nothing changed | pieces made in it | kills | pieces lost | the same in the end |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {options.network} | {units} | {made} | {first:.0f} s | {again:.2f} s | {none} | {kills} | {lost} | "
        f"{'yes' if same else 'NO'} |"
    )


def start(options: argparse.Namespace, site: Path) -> "subprocess.Popen[str]":
    """A build in a process of its own."""
    words = [options.network, str(options.images), str(site), str(options.size), str(options.steps)]
    program = site.parent / "work.py"
    program.write_text(WORK)
    return subprocess.Popen([sys.executable, str(program), *words], stdout=subprocess.PIPE, text=True)


def finished(process: "subprocess.Popen[str]") -> tuple[float, int, int]:
    """Seconds, units and pieces of a build."""
    import json

    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a build ended with {process.returncode}")
    return tuple(json.loads(said))


def contents(site: Path) -> dict[str, bytes]:
    """Pictures and pages, by path."""
    kept = (path for path in site.rglob("*") if path.is_file() and ".atlas" not in path.parts)
    return {str(path.relative_to(site)): path.read_bytes() for path in kept}


if __name__ == "__main__":
    main()
