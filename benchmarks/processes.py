"""Two processes against one: is the picture the same, and how much time do they take?

uv run python benchmarks/processes.py
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

WORK = """
import json, os, sys, time
from safetensors.torch import save_file
import impasto
content, style, out = sys.argv[1:4]
began = time.perf_counter()
result = impasto.stylize(content, style, **json.loads(sys.argv[4]))
seconds = time.perf_counter() - began
if os.environ.get("RANK", "0") == "0":
    save_file({"pixels": result.tensor}, out)
    print(seconds)
"""


def main() -> None:
    """Print a row per way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--options", default='{"size": 1024, "steps": 10, "scales": 1, "tile": 512}')
    options = parser.parse_args()
    data = options.shared / "data"
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    ways = {
        "one process, one thread": ([], "1"),
        "one process, two threads": ([], "2"),
        "two processes, one thread each": (torchrun, "1"),
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "work.py")
        script.write_text(WORK)
        for name, (launcher, threads) in ways.items():
            out = Path(folder, f"{len(found)}.safetensors")
            command = [sys.executable, *launcher, str(script), str(data / "contents" / "tubingen.jpg")]
            command += [str(data / "paintings" / "the_scream.jpg"), str(out), options.options]
            environment = {**os.environ, "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
            found[name] = float(said.split()[-1]), load_file(out)["pixels"]
    first = found["one process, one thread"]
    print("| way | seconds | time | largest difference of a pixel in [0, 1] |\n|---|---|---|---|")
    for name, (seconds, pixels) in found.items():
        apart = float((pixels - first[1]).abs().max())
        print(f"| {name} | {seconds:.1f} | {seconds / first[0]:.2f} | {apart:.1e} |", flush=True)


if __name__ == "__main__":
    main()
