"""cli: the command line; parses and prints, computes nothing."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line; returns the exit code: 0 done, 1 failed, 2 asked for what cannot be done."""
    from impasto.cli.app import run

    try:
        return run(sys.argv[1:])
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
