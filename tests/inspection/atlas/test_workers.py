"""The processes that make an atlas's pieces."""

import importlib
import os

import pytest

from impasto.inspection.atlas.cache import Piece, Work, key_of
from impasto.inspection.atlas.workers import carry_out

JOBS = """
import torch

def spoil(work, into, tell):
    into.joinpath("threads").write_text(str(torch.get_num_threads()))
    torch.set_num_threads(torch.get_num_threads() + 3)  # as numba does, on which UMAP lays out
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the number of a process's processors is not known")
def test_what_a_piece_does_to_the_number_of_threads_does_not_outlast_it(tmp_path, monkeypatch):
    (tmp_path / "jobs_of_this_test.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    spoil = importlib.import_module("jobs_of_this_test").spoil
    pieces = [Piece("pictures", key_of(number), f"piece {number}", "pieces", 1.0, spoil) for number in range(6)]
    site = tmp_path / "site"
    (site / "pictures").mkdir(parents=True)

    assert carry_out(pieces, Work((), site), lambda _piece: [], 2, lambda _part, _words: None) == 6

    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert {(site / piece.folder / "threads").read_text() for piece in pieces} == {str(share)}
