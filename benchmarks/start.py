"""How long the command line takes to start: ``import impasto`` and ``impasto --help``.

uv run python benchmarks/start.py
"""

import subprocess
import sys
import time

COMMANDS = {
    "python, nothing imported": [sys.executable, "-c", ""],
    "import impasto": [sys.executable, "-c", "import impasto"],
    "impasto --help": [sys.executable, "-m", "impasto", "--help"],
    "impasto stylize --help": [sys.executable, "-m", "impasto", "stylize", "--help"],
    "import torch (for comparison)": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    """Print the median of nine starts of each, and what it adds to an empty Python."""
    medians = {name: median_seconds(command) for name, command in COMMANDS.items()}
    empty = medians["python, nothing imported"]
    print("| command | seconds | beyond an empty Python |\n|---|---|---|")
    for name, seconds in medians.items():
        print(f"| {name} | {seconds:.2f} | {seconds - empty:.2f} |")


def median_seconds(command: list[str], times: int = 9) -> float:
    """Median wall time of a command."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[times // 2]


if __name__ == "__main__":
    main()
