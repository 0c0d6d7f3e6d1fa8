"""Trainings that are killed at random moments and resumed, again and again: are their weights the same, bit for bit?

uv run python benchmarks/training_kills.py --kills 50
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# What is trained: stages of every kind, optimizers of every kind, and what else has a state of its own.
JOBS: dict[str, dict[str, object]] = {
    "head, then all; AdamW": {"stages": ["head:12", "all:5"]},
    "head with its layers; momentum, mixup": {
        "stages": ["head:6", "relu2_1:6"], "optimizer": "momentum", "mixup": 0.4, "augment": ["flip", "rotate:10"],
    },
    "all, then the head; Eve, averaged, early end": {
        "stages": ["all:6", "head:8"], "optimizer": "eve", "average": 0.9, "patience": 7, "head": "pooled",
    },
    "from scratch, growing; RMSprop, bf16": {
        "network": "scratch:residual", "stages": ["all:5@24", "all:3"], "optimizer": "rmsprop",
        "precision": "bf16-mixed", "sampling": "balanced", "input_batch_norm": True,
    },
}  # fmt: skip

WORK = """
import json, sys
from pathlib import Path
from impasto.learning.classify import classify, resume
from impasto.runs.directory import RunDirectory
run, data, options = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
if not (run / "manifest.json").exists():
    classify(data, run=run, every=0, **options)
elif RunDirectory.open(run).status != "finished":  # else it was killed after its last deed
    resume(run)
"""


def main() -> None:
    """Print a row per job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--kills", type=int, default=50, help="for all jobs together")
    options = parser.parse_args()
    chance = random.Random(0)
    print("| training | kills | in stages | after the training | runs | identical weights | identical scores | logs |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IMPASTO_FEATURES"] = f"{folder}/features"
        data = some_pictures(options.shared / "data" / "mnist-t10k", Path(folder, "digits.parquet"))
        for number, (name, job) in enumerate(JOBS.items()):
            root = Path(folder, str(number))
            root.mkdir()
            whole = root / "whole"
            if start(whole, data, job).wait():
                sys.exit(f"the training {name} failed")
            wanted = options.kills * (number + 1) // len(JOBS) - options.kills * number // len(JOBS)
            row(name, wanted, whole, data, job, chance)


def row(name: str, wanted: int, whole: Path, data: Path, job: dict[str, object], chance: random.Random) -> None:
    """Kill runs of one job so many times, and print what became of them."""
    records = lines(whole)
    expected, run = fingerprint(whole), whole.with_name("run")
    kills = runs = after = 0
    stages: set[int] = set()
    same = [0, 0, 0]
    while kills < wanted or run.exists():
        process = start(run, data, job)
        if kills < wanted:
            # anywhere between here and a little after the last step: within a step, a checkpoint, the report
            goal = lines(run) + chance.randint(0, records // 3)
            while process.poll() is None and lines(run) < min(goal, records):
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 1.0 if goal >= records else 0.1))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                done = lines(run)
                after += done >= records
                if 0 < done < records:
                    stages.add(json.loads((run / "metrics.jsonl").read_text().splitlines()[done - 1])["stage"])
                if run.exists() and not (run / "manifest.json").exists():
                    shutil.rmtree(run)
                continue
        if process.wait():
            sys.exit(f"a resumed training failed in {run}")
        runs += 1
        same = [count + (one == other) for count, one, other in zip(same, fingerprint(run), expected, strict=True)]
        shutil.rmtree(run)
    cells = [f"{count} of {runs}" for count in same]
    print(f"| {name} | {kills} | {sorted(stages)} | {after} | {runs} | {' | '.join(cells)} |", flush=True)


def some_pictures(source: Path, path: Path) -> Path:
    """A manifest of 300 digits, 100 of them to judge by."""
    from impasto.learning.sample import sample
    from impasto.learning.scan import read_data
    from impasto.learning.split import split

    split(sample(read_data(source), count=300, seed=0), valid=1 / 6, test=1 / 6, seed=0).save(path)
    return path


def start(run: Path, data: Path, job: dict[str, object]) -> subprocess.Popen[bytes]:
    """A process that begins the run, or goes on with it."""
    options = {"network": "pocket", "size": 32, "device": "cpu", "batch_size": 25} | job
    return subprocess.Popen([sys.executable, "-c", WORK, str(run), str(data), json.dumps(options)])


def lines(run: Path) -> int:
    """Records that a run has logged, whole ones."""
    log = run / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def fingerprint(run: Path) -> tuple[str, str, str]:
    """Hashes of the weights, of the scores, and of every step's losses (without the seconds they took)."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    log = [{name: value for name, value in record.items() if name != "seconds"} for record in records]
    scores = json.loads((run / "manifest.json").read_text())["scores"]
    weights = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
    return weights, json.dumps(scores), json.dumps(log)


if __name__ == "__main__":
    main()
