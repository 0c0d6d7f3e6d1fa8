"""Errors that a person can act on: one line that says what is wrong, where, and the mend."""


class ImpastoError(Exception):
    """Something failed while the work was done: a full disk, a cut download, no memory (exit code 1)."""

    exit_code = 1


class UsageError(ImpastoError):
    """What was asked for cannot be done as asked: a bad name, file or value (exit code 2)."""

    exit_code = 2
