"""Workers: processes that make the pieces of an atlas side by side, and end with the one that began them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from impasto.errors import ImpastoError, UsageError
from impasto.inspection.atlas.cache import Piece, Tell, Work, make

log = logging.getLogger("impasto")

Follow = Callable[[Piece], Iterable[Piece]]

_TELL_EVERY = 0.5  # seconds
_GRACE = 10.0  # seconds for a process that has nothing left to do to end by itself


def carry_out(pieces: Sequence[Piece], work: Work, follow: Follow, workers: int, progress: Tell) -> int:
    """Make those pieces that are not there yet, and those that follow from each.

    With one worker, all is done in this process; with more, in processes with a share of the processors each. An
    interrupt ends them all, and so does the end of this process, however it comes; pieces that are finished stay.

    Args:
        pieces: What is to be there in the end.
        work: What they are made from.
        follow: Which further pieces a finished one calls for; asked once for each, those found there too.
        workers: Processes at work at once.
        progress: Called with the part of all work that is done, from what pieces of its group took, and a few words.

    Returns:
        How many pieces were made.

    Raises:
        ImpastoError: What went wrong in a piece; or a process died.
    """
    queue: deque[Piece] = deque()
    effort = _Effort()

    def enqueue(some: Iterable[Piece]) -> None:
        for piece in some:
            if piece.there(work.site):
                enqueue(follow(piece))
            elif piece.key not in effort.pieces:
                queue.append(piece)
                effort.planned(piece)

    enqueue(pieces)
    if not queue:
        return 0
    if workers == 1:
        work = work.placed()
        while queue:
            piece = queue.popleft()
            make(piece, work, partial(effort.heard, piece, progress))
            effort.done(piece, progress)
            enqueue(follow(piece))
    else:
        _in_processes(queue, enqueue, work, follow, min(workers, len(queue)), effort, progress)
    return effort.finished


class _Effort:
    """How much is done: what each piece was said to cost, scaled by what pieces of its group took."""

    def __init__(self) -> None:
        self.pieces: dict[str, Piece] = {}
        self.parts: dict[str, float] = {}
        self.seconds: dict[str, tuple[float, float]] = {}  # by group, seconds and cost of what is done
        self.began: dict[str, float] = {}
        self.finished = 0

    def planned(self, piece: Piece) -> None:
        self.pieces[piece.key] = piece

    def tell(self, piece: Piece, part: float, progress: Tell) -> None:
        self.began.setdefault(piece.key, time.monotonic())
        self.parts[piece.key] = min(part, 1.0)
        progress(self.part(), f"{piece.words} ({self.finished} of {len(self.pieces)})")

    def heard(self, piece: Piece, progress: Tell, part: float, _words: str) -> None:
        self.tell(piece, part, progress)

    def done(self, piece: Piece, progress: Tell) -> None:
        self.finished += 1
        took = time.monotonic() - self.began.get(piece.key, time.monotonic())
        seconds, cost = self.seconds.get(piece.group, (0.0, 0.0))
        self.seconds[piece.group] = (seconds + took, cost + piece.cost)
        self.tell(piece, 1.0, progress)

    def part(self) -> float:
        known = [both for both in self.seconds.values() if both[0] > 0]
        rate = sum(seconds for seconds, _ in known) / sum(cost for _, cost in known) if known else 1.0

        def cost(piece: Piece) -> float:
            seconds, cost = self.seconds.get(piece.group, (0.0, 0.0))
            return piece.cost * (seconds / cost if seconds > 0 else rate)

        costs = {key: cost(piece) for key, piece in self.pieces.items()}
        return sum(costs[key] * part for key, part in self.parts.items()) / sum(costs.values())


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    piece: Piece | None = None


def _in_processes(
    queue: deque[Piece],
    enqueue: Callable[[Iterable[Piece]], None],
    work: Work,
    follow: Follow,
    count: int,
    effort: _Effort,
    progress: Tell,
) -> None:
    with _started(work, count) as team:
        busy: dict[Connection, _Worker] = {}
        while queue or busy:
            for worker in team:
                if queue and worker.piece is None:
                    worker.piece = queue.popleft()
                    effort.began[worker.piece.key] = time.monotonic()
                    with suppress(OSError):  # of a process that died: its end is found below
                        worker.connection.send(worker.piece)
                    busy[worker.connection] = worker
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                piece = worker.piece
                assert piece is not None
                try:
                    kind, said = worker.connection.recv()
                except (EOFError, OSError) as error:
                    raise ImpastoError(_death(worker.process, piece)) from error
                match kind:
                    case "part":
                        effort.tell(piece, said, progress)
                    case "warning":
                        log.warning("%s", said)
                    case "usage":
                        raise UsageError(said)
                    case "failed":
                        raise ImpastoError(said)
                    case _:
                        worker.piece = None
                        del busy[worker.connection]
                        effort.done(piece, progress)
                        enqueue(follow(piece))


def _death(process: SpawnProcess, piece: Piece) -> str:
    process.join(5)
    code = process.exitcode or 0
    if code == 1:  # a script that spawns is run again by every process it spawns
        return "the worker processes could not start: call atlas under `if __name__ == '__main__':`, or with workers=1"
    how = f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return (
        f"a worker process {how} while it made {piece.words}: if memory ran out, use fewer --workers; "
        "what is done is kept, and the same command goes on"
    )


@contextmanager
def _started(work: Work, count: int) -> Iterator[list[_Worker]]:
    """Processes that wait for pieces; when the context is left, they are ended, whatever they are at."""
    context = multiprocessing.get_context("spawn")
    # through plain pickle, and not torch's own, which would fill the system's shared memory with the weights
    packed = pickle.dumps(work)
    threads = max(1, len(os.sched_getaffinity(0)) // count) if hasattr(os, "sched_getaffinity") else 1
    team: list[_Worker] = []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
            process.start()
            theirs.close()
            team.append(_Worker(process, ours))
        for worker in team:
            worker.connection.send_bytes(packed)
        yield team
        for worker in team:
            worker.connection.close()  # which they take for the end
        for worker in team:
            worker.process.join(_GRACE)
    finally:
        for worker in team:
            worker.process.terminate()
        for worker in team:
            worker.process.join()
            worker.connection.close()


def _serve(connection: Connection, threads: int) -> None:
    """A process's life: pieces come, and it is told how they go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the first one ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    from impasto.networks.allocator import keep_freed_memory

    keep_freed_memory()
    logging.getLogger("impasto").addHandler(_Sending(connection))
    # from the process that has started this one, over the pipe between them
    work: Work = pickle.loads(connection.recv_bytes()).placed()
    while True:
        try:
            piece: Piece = connection.recv()
        except EOFError:
            return
        torch.set_num_threads(threads)  # before each: numba, on which UMAP lays out, gives OpenMP all cores again
        try:
            make(piece, work, _telling(connection))
            connection.send(("done", None))
        except ImpastoError as error:
            connection.send(("usage" if isinstance(error, UsageError) else "failed", str(error)))
        except MemoryError:
            connection.send(("failed", f"out of memory while making {piece.words}: use fewer --workers"))
        except Exception as error:
            connection.send(("failed", f"unexpected {type(error).__name__} while making {piece.words}: {error}"))


def _telling(connection: Connection) -> Tell:
    last = 0.0

    def tell(part: float, _words: str) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= _TELL_EVERY:
            last = now
            connection.send(("part", part))

    return tell


class _Sending(logging.Handler):
    """Warnings go to the first process, which says them."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(logging.WARNING)
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        self._connection.send(("warning", record.getMessage()))


def _end_with_parent() -> None:
    """However the first process ends, SIGKILL included, nobody is left who would have use for the work."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
