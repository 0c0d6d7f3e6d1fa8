"""Loading: from a real server or a file to a network, and one clear line for every file that is none."""

import hashlib
import os
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from impasto.errors import ImpastoError, UsageError
from impasto.networks import Taps, catalogue, load
from impasto.networks.loading import read_weights, timm_weights


class Site(ThreadingHTTPServer):
    """The files of a folder by their name, whatever the path; to HEAD, their digests as the hub tells them."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        file = self.server.folder / self.path.rsplit("/", 1)[1]
        if not file.is_file():
            return self.send_error(404)
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Linked-ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "www").mkdir()
    for name in ("IMPASTO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Site(tmp_path / "www") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def squeezenet() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return models.squeezenet1_1().state_dict()


@pytest.fixture(scope="module")
def vgg() -> dict[str, Tensor]:
    """The first layers of VGG-19, to conv2_2."""
    torch.manual_seed(0)
    layers = models.vgg.make_layers(models.vgg.cfgs["E"])[:8]
    return {f"features.{key}": value for key, value in layers.state_dict().items()}


def one_line(error: BaseException, *said: object) -> None:
    assert "\n" not in str(error) and len(str(error)) < 600  # of which the temporary folder has its part
    for part in said:
        assert str(part) in str(error)


def refused(path: Path, *said: object, name: str = "vgg19") -> None:
    with pytest.raises(UsageError) as caught:
        load(name, weights=path)
    one_line(caught.value, path, *said)


# Published weights


def test_published_weights_come_from_the_mirror_and_stay(
    site: Site, squeezenet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = catalogue.ENTRIES["squeezenet1_1"].weights
    assert file is not None
    torch.save(squeezenet, site.folder / file.name)
    data = (site.folder / file.name).read_bytes()
    ours = replace(file, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    entry = replace(catalogue.ENTRIES["squeezenet1_1"], weights=ours)
    monkeypatch.setitem(catalogue.ENTRIES, "squeezenet1_1", entry)
    monkeypatch.setenv("IMPASTO_MIRROR", f"http://127.0.0.1:{site.server_port}/weights")
    seen: list[tuple[int, int | None]] = []
    network = load("squeezenet1_1", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(data), len(data))
    assert network.sha256 == ours.sha256 and ours.path.read_bytes() == data
    assert torch.equal(network.module.state_dict()["features.0.weight"], squeezenet["features.0.weight"])
    assert torch.equal(network.module.state_dict()["classifier.1.weight"], squeezenet["classifier.1.weight"])
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    assert load("squeezenet1_1").sha256 == network.sha256
    assert site.asked == [f"/weights/{file.name}"], "once"


def test_a_mirror_with_another_file_is_not_believed(
    site: Site, squeezenet: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = catalogue.ENTRIES["squeezenet1_1"].weights
    assert file is not None
    torch.save(squeezenet, site.folder / file.name)
    monkeypatch.setenv("IMPASTO_MIRROR", f"http://127.0.0.1:{site.server_port}")
    with pytest.raises(ImpastoError) as caught:
        load("squeezenet1_1")
    one_line(
        caught.value,
        file.name,
        file.sha256,
        hashlib.sha256((site.folder / file.name).read_bytes()).hexdigest(),
    )
    assert not file.path.exists()


def test_offline_the_file_its_address_and_its_place_are_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    file = catalogue.ENTRIES["vgg19"].weights
    assert file is not None
    with pytest.raises(ImpastoError) as caught:
        load("vgg19")
    one_line(caught.value, "offline", file.url, file.path, "--weights")


def test_timms_weights_come_from_the_hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{site.server_port}")
    torch.manual_seed(0)
    state = timm.create_model("test_resnet").state_dict()
    save_file(state, site.folder / "model.safetensors")
    network = load("timm:test_resnet")
    assert torch.equal(network.module.state_dict()["fc.weight"], state["fc.weight"])
    assert [path.split("/")[1] for path in site.asked] == ["timm", "timm"], "its digest, then the file"
    asked = len(site.asked)
    monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    assert load("timm:test_resnet").sha256 == network.sha256
    assert len(site.asked) == asked


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_net", "no model 'no_such_net'"),
        ("resnet1", "it has resnet"),
        ("botnet50ts_256", "--weights"),
    ],
)
def test_what_timm_has_not_is_told(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        timm_weights(name)
    one_line(caught.value, name, said)


# Files of weights


def test_a_network_comes_frozen_and_in_evaluation_mode(squeezenet: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(squeezenet, tmp_path / "net.safetensors")
    with torch.enable_grad():
        network = load("squeezenet1_1", weights=str(tmp_path / "net.safetensors"))
    assert not any(layer.training for layer in network.module.modules())
    assert not any(p.requires_grad for p in network.module.parameters())
    assert network.sha256 == hashlib.sha256((tmp_path / "net.safetensors").read_bytes()).hexdigest()
    assert not any(t.is_meta for t in network.module.state_dict().values())


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_the_formats_of_weights_are_alike(vgg: dict[str, Tensor], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(vgg, path)  # type: ignore[operator]
    loaded = load("vgg19", weights=path).module.state_dict()
    assert loaded.keys() == vgg.keys() and all(torch.equal(loaded[key], vgg[key]) for key in vgg)


def test_half_precision_is_widened(vgg: dict[str, Tensor], tmp_path: Path) -> None:
    save_file({key: value.half() for key, value in vgg.items()}, tmp_path / "half.safetensors")
    network = load("vgg19", weights=tmp_path / "half.safetensors")
    assert {p.dtype for p in network.module.parameters()} == {torch.float32}
    Taps(network, ["relu2_1"])(torch.rand(1, 3, 16, 16))


@pytest.mark.parametrize("last", [3, 4, 7, 10])
def test_the_first_layers_alone_are_a_network_down_to_there(
    squeezenet: dict[str, Tensor], last: int, tmp_path: Path
) -> None:
    kept = {key: value for key, value in squeezenet.items() if int(key.split(".")[1]) <= last and "feat" in key}
    save_file(kept, tmp_path / "net.safetensors")
    network = load("squeezenet1_1", weights=tmp_path / "net.safetensors")
    Taps(network, [f"features.{last}", *network.style_taps, *network.content_taps])(torch.rand(1, 3, 64, 64))
    with pytest.raises(UsageError):
        Taps(network, ["features.12"])


def test_the_first_convolution_alone_is_a_network(vgg: dict[str, Tensor], tmp_path: Path) -> None:
    save_file({key: value for key, value in vgg.items() if ".0." in key}, tmp_path / "net.safetensors")
    network = load("vgg19", weights=tmp_path / "net.safetensors")
    assert network.style_taps == ("relu1_1",) == network.content_taps


# Files that are none


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.pth", "no weights file")
    refused(tmp_path)
    (tmp_path / "net.safetensors").mkdir()
    refused(tmp_path / "net.safetensors")


def test_another_networks_file_is_refused(
    squeezenet: dict[str, Tensor], vgg: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(squeezenet, tmp_path / "squeezenet.safetensors")
    save_file(vgg, tmp_path / "vgg.safetensors")
    resnet = timm.create_model("test_resnet").state_dict()
    save_file(resnet, tmp_path / "resnet.safetensors")
    refused(tmp_path / "squeezenet.safetensors", "not a weights file of vgg19")
    refused(tmp_path / "resnet.safetensors", "no weights of vgg19")
    refused(tmp_path / "vgg.safetensors", "not a weights file of squeezenet1_1", name="squeezenet1_1")
    refused(tmp_path / "vgg.safetensors", "not a weights file of pocket", name="pocket")
    refused(tmp_path / "vgg.safetensors", "not a weights file of timm:test_resnet", name="timm:test_resnet")


def test_vgg16_is_not_vgg19(tmp_path: Path) -> None:
    layers = models.vgg.make_layers(models.vgg.cfgs["D"])[:18]
    path = tmp_path / "vgg16.safetensors"
    save_file({f"features.{key}": value for key, value in layers.state_dict().items()}, path)
    load("vgg16", weights=path)
    refused(path, "not a weights file of vgg19")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("kept", [0, 5, 100, 5000, -1])
def test_a_file_cut_short_is_refused(vgg: dict[str, Tensor], suffix: str, kept: int, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(vgg, path)  # type: ignore[operator]
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, "not a readable file of weights")


@pytest.mark.parametrize("name", ["pocket", "timm:test_resnet"])
def test_every_network_refuses_a_file_cut_short(vgg: dict[str, Tensor], name: str, tmp_path: Path) -> None:
    save_file(vgg, path := tmp_path / "net.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    refused(path, "not a readable file of weights", name=name)


class Trap:
    """What a pickle runs when it is loaded: here it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
@pytest.mark.parametrize("way", ["pickle", "torch", "torch, old", "among tensors"])
def test_the_code_in_a_pickle_is_never_run(suffix: str, way: str, tmp_path: Path) -> None:
    path, trap = tmp_path / f"net{suffix}", Trap(tmp_path / "sprung")
    if way == "pickle":
        path.write_bytes(pickle.dumps(trap))
    elif way == "among tensors":
        torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": trap}, path)
    else:
        torch.save(trap, path, _use_new_zipfile_serialization=way == "torch")
    refused(path)
    assert not trap.path.exists()
    pickle.loads(pickle.dumps(trap))
    assert trap.path.exists(), "it would have sprung"


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(3)],
        torch.zeros(3),
        {"state_dict": {"features.0.weight": torch.zeros(3)}},
        {"epoch": 3},
        {0: torch.zeros(3)},
        {},
        None,
    ],
    ids=["list", "tensor", "nested", "numbers", "numbered", "empty", "nothing"],
)
@pytest.mark.parametrize("name", ["vgg19", "pocket", "timm:test_resnet"])
def test_what_is_no_dictionary_of_the_networks_tensors_is_refused(content: object, name: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "net.pth")
    refused(tmp_path / "net.pth", name=name)


def test_a_refusal_is_not_accompanied_by_warnings(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "net.pth").write_bytes(pickle.dumps({"features.0.weight": 1}))
    refused(tmp_path / "net.pth")
    assert [str(warning.message) for warning in recwarn] == []


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(3, 4, 3), tmp_path / "net.pth")
    refused(tmp_path / "net.pth", "not a readable file of weights")


def test_a_file_by_the_wrong_name_is_refused(vgg: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(vgg, tmp_path / "net.pth")
    torch.save(vgg, tmp_path / "net.safetensors")
    for name in ("net.pth", "net.safetensors"):
        refused(tmp_path / name, "not a readable file of weights")


def test_reading_weights_keeps_every_tensor(vgg: dict[str, Tensor], tmp_path: Path) -> None:
    save_file({**vgg, "more": torch.arange(3)}, tmp_path / "net.safetensors")
    read = read_weights(tmp_path / "net.safetensors")
    assert read.keys() == {*vgg, "more"} and read["more"].tolist() == [0, 1, 2]


# Classes


def test_a_whole_classifier_knows_its_classes(squeezenet: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(squeezenet, tmp_path / "net.safetensors")
    network = load("squeezenet1_1", weights=tmp_path / "net.safetensors")
    assert len(network.classes) == 1000 and network.classes[1] == "goldfish"
    assert Taps(network, ["output"])(torch.rand(1, 3, 64, 64))["output"].shape == (1, 1000)


@pytest.mark.parametrize("kept", ["features", "some features"])
def test_what_was_cut_off_from_its_classifier_has_no_classes(
    squeezenet: dict[str, Tensor], kept: str, tmp_path: Path
) -> None:
    last = 12 if kept == "features" else 7
    save_file(
        {k: v for k, v in squeezenet.items() if k.startswith("features.") and int(k.split(".")[1]) <= last},
        tmp_path / "net.safetensors",
    )
    network = load("squeezenet1_1", weights=tmp_path / "net.safetensors")
    assert network.classes == () and "output" not in network.tap_names()
    with pytest.raises(UsageError, match="squeezenet1_1 is no classifier: choose one"):
        Taps(network, ["output"])


def test_a_shortened_network_with_a_classifier_that_does_not_fit_it_has_no_classes(
    squeezenet: dict[str, Tensor], tmp_path: Path
) -> None:
    kept = {k: v for k, v in squeezenet.items() if k.startswith("classifier.") or int(k.split(".")[1]) <= 7}
    save_file(kept, tmp_path / "net.safetensors")
    assert load("squeezenet1_1", weights=tmp_path / "net.safetensors").classes == ()


def test_half_a_classifier_is_refused(squeezenet: dict[str, Tensor], tmp_path: Path) -> None:
    save_file({k: v for k, v in squeezenet.items() if k != "classifier.1.bias"}, tmp_path / "net.safetensors")
    refused(tmp_path / "net.safetensors", "lacks classifier.1.bias", name="squeezenet1_1")


def test_pocket_is_no_classifier() -> None:
    assert load("pocket").classes == ()


def test_classes_of_timm_are_imagenets_in_words(tmp_path: Path) -> None:
    module = timm.create_model("test_resnet")
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    network = load("timm:test_resnet", weights=tmp_path / "net.safetensors")
    assert len(network.classes) == 1000 and network.classes[1].startswith("goldfish")
    assert Taps(network, ["output"])(torch.rand(2, 3, 64, 64))["output"].shape == (2, 1000)


@pytest.mark.parametrize(("count", "expected"), [(7, tuple(f"class {k}" for k in range(7))), (0, ())])
def test_classes_of_timm_that_are_not_imagenets_are_numbers(count: int, expected: tuple[str, ...]) -> None:
    from impasto.networks.loading import _timm_classes

    assert _timm_classes(timm.create_model("test_resnet", num_classes=count)) == expected
