"""The terminal: tables for a person."""

import pytest

from impasto.cli.terminal import say_table


def test_a_table_in_a_narrow_terminal_loses_nothing_of_what_may_be_folded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "13")
    say_table(("name", "about"), [("pocket", "abcdefghij")], whole={"name"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "about"]
    assert lines[1].startswith("pocket ") and "".join(line[7:].strip() for line in lines[1:]) == "abcdefghij"


def test_what_stands_in_brackets_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("run",), [("night[bold]",), (3,)])
    assert capsys.readouterr().out.split() == ["run", "night[bold]", "3"]


def test_only_the_first_of_several_processes_shows_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    say_table(("run",), [("one",)])
    assert capsys.readouterr().out == ""
