"""impasto networks: listed, shown, fetched, verified."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from impasto.cli.app import run
from impasto.networks import catalogue
from impasto.networks.weights import WeightsFile

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and no way to the network."""
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch) -> WeightsFile:
    """vgg19's published file, as if it were a small one that has been downloaded."""
    file = WeightsFile("vgg19.pth", "http://nowhere.invalid/vgg19.pth", hashlib.sha256(b"right").hexdigest(), 5)
    monkeypatch.setitem(catalogue.ENTRIES, "vgg19", replace(catalogue.ENTRIES["vgg19"], weights=file))
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(b"right")
    return file


def said(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert err == ""
    return out


def complaint(capsys: Output) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("impasto: ") and "unexpected" not in err
    return err


def test_the_list_names_every_network_its_licence_and_where_it_is(cached: WeightsFile, capsys: Output) -> None:
    assert run(["networks", "list"]) == 0
    out = said(capsys)
    for entry in catalogue.ENTRIES.values():
        line = next(line for line in out.splitlines() if line.startswith(f"{entry.name} "))
        assert entry.licence in line
        state = {"pocket": "in the package", "vgg19": "cached"}.get(entry.name, "to download")
        assert state in line
    assert "timm:NAME" in out


def test_the_list_is_one_object_for_a_machine(capsys: Output) -> None:
    assert run(["networks", "list", "--json"]) == 0
    out = said(capsys)
    rows = json.loads(out)["networks"]
    assert out.count("\n") == 1 and [row["name"] for row in rows] == list(catalogue.ENTRIES)
    assert all(row["licence"] and row["about"] and row["weights"] for row in rows)


def test_a_network_is_shown_with_its_taps(capsys: Output) -> None:
    assert run(["networks", "show", "pocket"]) == 0
    out = said(capsys)
    line = next(line for line in out.splitlines() if line.startswith("relu2_2"))
    assert line.split() == ["relu2_2", "48", "2", "12", "style", "content"]
    assert "Apache-2.0" in out and "parameters" in out


def test_a_network_is_shown_to_a_machine(capsys: Output) -> None:
    assert run(["networks", "show", "pocket", "--json"]) == 0
    facts = json.loads(said(capsys))
    taps = {row["tap"]: row for row in facts["taps"]}
    assert (taps["relu1_1"]["channels"], taps["relu1_1"]["stride"], taps["relu1_1"]["field"]) == (16, 1, 3)
    assert len(facts["sha256"]) == 64 and facts["parameters"] > 100_000


def test_a_network_of_timm_is_shown_from_a_file(capsys: Output) -> None:
    save_file(timm.create_model("test_efficientnet").state_dict(), "net.safetensors")
    assert run(["networks", "show", "timm:test_efficientnet", "--weights", "net.safetensors", "--json"]) == 0
    taps = {row["tap"]: row for row in json.loads(said(capsys))["taps"]}
    assert (taps["blocks.2"]["stride"], taps["blocks.2"]["field"]) == (8, 19)
    assert taps["blocks.3"]["field"] == "whole picture"


@pytest.mark.realdata
def test_a_shortened_network_is_shown_as_far_as_it_goes(shared: Path, capsys: Output) -> None:
    weights = str(shared / "weights" / "vgg19_to_conv3_4.safetensors")
    assert run(["networks", "show", "vgg19", "--weights", weights, "--json"]) == 0
    taps = {row["tap"]: row for row in json.loads(said(capsys))["taps"]}
    assert "relu4_1" not in taps and taps["relu3_4"]["field"] == 48 and taps["relu3_1"]["field"] == 24


@pytest.mark.parametrize("command", ["show", "fetch", "verify"])
@pytest.mark.parametrize("name", ["vgg99", "timm:no_such_net"])
def test_an_unknown_network_is_refused(command: str, name: str, capsys: Output) -> None:
    assert run(["networks", command, name]) == 2
    assert name.removeprefix("timm:") in complaint(capsys)


@pytest.mark.parametrize("command", ["show", "fetch"])
def test_offline_the_file_its_address_and_its_place_are_told(command: str, home: Path, capsys: Output) -> None:
    assert run(["networks", command, "vgg19"]) == 1
    file = catalogue.ENTRIES["vgg19"].weights
    assert file is not None
    line = complaint(capsys)
    assert all(part in line for part in (file.name, file.url, str(home / "weights" / file.name), "offline"))


def test_a_cached_file_is_fetched_without_a_network(cached: WeightsFile, capsys: Output) -> None:
    assert run(["networks", "fetch", "vgg19"]) == 0
    assert said(capsys).strip() == str(cached.path)
    assert run(["networks", "fetch", "vgg19", "--json"]) == 0
    assert json.loads(said(capsys)) == {"path": str(cached.path)}


def test_pocket_needs_no_fetching(capsys: Output) -> None:
    assert run(["networks", "fetch", "pocket"]) == 0 == run(["networks", "verify", "pocket"])
    assert "in the package" in said(capsys)
    assert run(["networks", "fetch", "pocket", "--json"]) == 0
    assert Path(json.loads(said(capsys))["path"]).is_file()


def test_cached_files_are_verified(cached: WeightsFile, capsys: Output) -> None:
    for name in ([], ["vgg19"]):
        assert run(["networks", "verify", *name]) == 0
        assert f"{cached.path} is right" in said(capsys)
    assert run(["networks", "verify", "--json"]) == 0
    assert json.loads(said(capsys)) == {"verified": {"vgg19": str(cached.path)}}


def test_a_spoilt_file_is_found(cached: WeightsFile, capsys: Output) -> None:
    cached.path.write_bytes(b"wrong")
    for name in ([], ["vgg19"]):
        assert run(["networks", "verify", *name]) == 1
        assert str(cached.path) in complaint(capsys)


def test_with_an_empty_cache_there_is_nothing_to_verify(capsys: Output) -> None:
    assert run(["networks", "verify"]) == 0
    assert "no downloaded weights" in said(capsys)
    assert run(["networks", "verify", "vgg16"]) == 1
    assert "vgg16" in complaint(capsys)


def test_errors_are_told_to_a_machine_as_json(capsys: Output) -> None:
    assert run(["networks", "show", "vgg99", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "vgg99" in json.loads(err)["error"]
