"""Processes: tiles spread over two of them give the bits of one picture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from impasto.synthesis.processes import add_over_processes, rank, world

SCRIPT = """
import json, pathlib, sys
import torch
torch.set_num_threads(1)
from impasto import networks
from impasto.networks import Taps
from impasto.synthesis.calibration import Style, style_terms
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.measure import shared
from impasto.synthesis.objective import Objective
from impasto.synthesis.processes import agreed, rank, world
from impasto.synthesis.tiles import tiling

network = networks.load("pocket", padding="replicate")
taps = Taps(network, ["relu1_1", "relu2_2", "relu3_1"])
def scene(seed, *size):
    coarse = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)
for side in (None, 48):
    tiles = tiling((120, 97), side, taps.geometry())
    mask = torch.linspace(0, 1, 97).expand(1, 1, 120, 97)
    # the first painting is measured in tiles, and the second one, smaller than a tile, whole
    styles = [Style(lambda: scene(1, 90, 80), region=0), Style(lambda: scene(2, 40, 30), 2.0, region=1)]
    content, regions = scene(3, 120, 97), [mask, 1 - mask]
    losses = [("gram", 1.0), ("sliced", 1.0)]
    terms = style_terms(taps, styles, losses, taps.names, side=48, start=(content, tiles, regions))
    targets = ContentTargets(Taps(network, ["relu3_1"]), content, tiles)
    weights = {"relu3_1": 0.01 / targets.shown["relu3_1"]}
    point = Objective(taps, tiles, terms, weights, targets, 0.1, regions)(scene(4, 120, 97) * 1.2 - 0.1)
    torch.save(point.gradient, pathlib.Path(sys.argv[1], f"{side}-{rank()}-of-{world()}.pt"))
    facts = {"loss": point.loss, "terms": point.terms, "tiles": len(tiles.tiles), "mine": len(shared(tiles))}
    facts["agreed"] = agreed([2**40 + rank(), 10 * rank()], torch.device("cpu"))
    pathlib.Path(sys.argv[1], f"{side}-{rank()}-of-{world()}.json").write_text(json.dumps(facts))
"""


@pytest.mark.slow
@pytest.mark.parametrize("count", [2])
def test_processes_get_the_same_bits_which_are_those_of_one_process(tmp_path: Path, count):
    script = tmp_path / "evaluate.py"
    script.write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    for command in ([*torchrun, script, tmp_path], [sys.executable, script, tmp_path]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr

    def found(side: int | None, name: str) -> tuple[torch.Tensor, dict]:
        gradient = torch.load(tmp_path / f"{side}-{name}.pt", weights_only=True)
        return gradient, json.loads((tmp_path / f"{side}-{name}.json").read_text())

    for side, tiles, shares in ((48, 9, [5, 4]), (None, 1, [1, 1])):
        alone, facts = found(side, "0-of-1")
        assert facts["tiles"] == facts["mine"] == tiles
        ranks = [found(side, f"{number}-of-{count}") for number in range(count)]
        assert [of["mine"] for _, of in ranks] == shares
        assert [of["agreed"] for _, of in ranks] == [[2**40, 0]] * count, "what the first one has"
        assert torch.equal(ranks[0][0], ranks[1][0])
        assert ranks[0][1]["loss"] == ranks[1][1]["loss"] and ranks[0][1]["terms"] == ranks[1][1]["terms"]
        assert ranks[0][1]["loss"] == pytest.approx(facts["loss"], rel=1e-6)
        # not 1e-6: the whole picture's gradient and the sum of the shares round differently where a histogram's slope jumps
        assert (ranks[0][0] - alone).norm() <= 1e-5 * alone.norm()


def test_one_process_is_the_first_of_one_and_adds_nothing(monkeypatch):
    for environment in ({}, {"WORLD_SIZE": "1", "RANK": "0"}):
        for name in ("WORLD_SIZE", "RANK"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert (rank(), world()) == (0, 1)
        tensor = torch.ones(3)
        add_over_processes([tensor])
        assert tensor.tolist() == [1, 1, 1] and not torch.distributed.is_initialized()


def test_processes_know_their_number(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "2")
    assert (rank(), world()) == (2, 3)
