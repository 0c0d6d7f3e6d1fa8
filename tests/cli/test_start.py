"""How the command line starts: fast, with help and an example for every command, and with completion."""

import json
import os
import subprocess
import sys

import pytest

from impasto import __version__
from impasto.cli.app import app, run

COMMANDS = ["stylize", "texture", "invert", "resume", "demo", "rerun", "show", "networks list", "networks show"]
COMMANDS += ["networks fetch", "networks verify"]
HEAVY = {"torch", "torchvision", "numpy", "timm", "scipy", "PIL", "pyvips", "safetensors", "skimage"}


def imported(code: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has imported after running the code."""
    code += f"\nimport sys, json; print(); print(json.dumps(sorted({HEAVY} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import impasto; impasto.UsageError; dir(impasto)",
        "from impasto.cli.app import run; assert run(['--help']) == 0",
        "from impasto.cli.app import run; assert run(['stylize', '--help']) == 0",
        "from impasto.cli.app import run; assert run(['stylize', 'a', 'b', '--stregth', '1']) == 2",
        "from impasto.cli.app import run; assert run(['texture', 'a', '--size', 'large']) == 2",
        "from impasto.cli.app import run; assert run(['networks', 'list']) == 0",
    ],
    ids=["import", "help", "help of a command", "mistyped", "bad option", "list"],
)
def test_torch_and_its_like_are_not_imported_before_they_are_used(code: str) -> None:
    assert imported(code) == set()


def test_everything_on_the_face_is_there() -> None:
    import impasto

    assert set(impasto.__all__) <= set(dir(impasto))
    assert all(getattr(impasto, name) is not None for name in impasto.__all__)
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        impasto.paint  # noqa: B018


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: impasto {command}".rstrip()) and err == ""
    assert "example" in out.lower() and f"    impasto {command}".rstrip() in out


def test_every_command_is_among_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0 == run(["networks", "--help"])
    out = capsys.readouterr().out
    assert all(command.split()[-1] in out for command in COMMANDS)


@pytest.mark.parametrize("command", ["stylize", "texture", "invert"])
def test_help_names_every_option_with_its_default_and_what_it_does(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions

    run([command, "--help"])
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    models = {"stylize": StyleTransferOptions, "texture": TextureOptions, "invert": InversionOptions}
    for name, field in models[command].model_fields.items():
        assert f"--{name.replace('_', '-')}" in out
        assert (field.description or "").split()[0] in out
    assert all(flag in out for flag in ("--out", "--options", "--preview", "--run", "--json", "--debug"))
    assert "[default: pocket]" in out and "[choices: auto, lbfgs, adam]" in out
    assert not any(strange in out for strange in ("default: ]", "default: (", "default: None"))


def test_help_teaches_what_stylize_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    run(["stylize", "--help"])
    out = capsys.readouterr().out
    for part in ("Ctrl-C", "recipe", "torchrun", "--masks sky-mask.png", "--loss wasserstein", "--plan", "--sweep"):
        assert part in out
    assert "impasto resume DIR" in " ".join(out.split())


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "stylize" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_generated(shell: str) -> None:
    script = app.generate_completion(prog_name="impasto", shell=shell)  # type: ignore[arg-type]
    assert all(
        word in script for word in ("stylize", "texture", "invert", "resume", "rerun", "networks", "verify", "strength")
    )
    if shell == "bash" and sys.platform != "win32":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_a_reader_that_goes_away_is_no_error() -> None:
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run(
        [sys.executable, "-m", "impasto", "networks", "list"], stdout=start, stderr=subprocess.PIPE, text=True
    )
    os.close(start)
    assert done.returncode == 1 and done.stderr == ""
