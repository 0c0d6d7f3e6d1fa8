"""cli: the command line; parses and prints, computes nothing."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line; returns the exit code: 0 done, 1 failed, 2 asked for what cannot be done."""
    try:
        from impasto.cli.app import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # while it was still starting; later ones are told by what they stopped
        sys.stderr.write("impasto: stopped\n")
        return 1
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
