"""Real processes of the command line, started fast: by a fork of one that has imported everything and run nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SERVER = """
import importlib, json, os, signal, sys
import impasto.cli.app, impasto.synthesis.batch, impasto.synthesis.resume

def child(job):
    os.chdir(job["folder"])
    for name, descriptor in (("out", 1), ("err", 2)):
        os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
    code = impasto.cli.app.run(job["arguments"])
    sys.stdout.flush(), sys.stderr.flush()
    return code

for line in sys.stdin:
    job = json.loads(line)
    if "module" in job:
        importlib.import_module(job["module"])
        print(0, flush=True)
        continue
    if "wait" in job:
        print(os.waitstatus_to_exitcode(os.waitpid(job["wait"], 0)[1]), flush=True)
        continue
    pid = os.fork()
    if not pid:
        code = 70
        try:
            code = child(job)
        finally:
            os._exit(code)
    print(pid, flush=True)
"""


@dataclass
class Command:
    """A running ``impasto ...``."""

    pid: int
    code: Callable[[], int]
    out: Path
    err: Path

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def wait(self) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        return self.code(), self.out.read_text(), self.err.read_text()


@pytest.fixture(scope="session")
def server() -> Iterator[subprocess.Popen[str]]:
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork on this system")
    command = [sys.executable, "-c", SERVER]
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def start(server: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Command]:
    """Starts ``impasto ...`` in the working directory; with ``imports``, these modules are imported before, once for all."""

    def ask(**job: object) -> int:
        assert server.stdin and server.stdout
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    def begin(*arguments: str, imports: tuple[str, ...] = ()) -> Command:
        for module in imports:
            ask(module=module)
        said = tmp_path_factory.mktemp("said")
        out, err = said / "out", said / "err"
        out.touch(), err.touch()  # it may be killed before it has opened them
        pid = ask(arguments=arguments, folder=os.getcwd(), out=str(out), err=str(err))
        return Command(pid, lambda: ask(wait=pid), out, err)

    return begin
