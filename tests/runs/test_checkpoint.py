"""Checkpoints: what was saved comes back bit for bit, and a kill leaves the old one or the new."""

import json
import math
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import ImpastoError, UsageError
from impasto.runs import checkpoint
from impasto.runs.checkpoint import Checkpoint, load, save

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@st.composite
def tensors(draw) -> torch.Tensor:
    """Of any dtype, shape (none and empty too), bits (NaNs of every payload too) and strides."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    size = math.prod(shape) * dtype.itemsize
    bits = torch.tensor(list(draw(st.binary(min_size=size, max_size=size))), dtype=torch.uint8)
    tensor = bits.view(dtype).reshape(shape)
    return tensor.permute(draw(st.permutations(range(len(shape)))))


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def refused(path: Path, error: type[ImpastoError] = UsageError) -> str:
    with pytest.raises(error) as caught:
        load(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(st.dictionaries(st.text(st.characters(codec="utf-8")).filter(lambda n: n != "__metadata__"), tensors(), max_size=4), st.dictionaries(st.text(), JSON, max_size=4))  # fmt: skip
def test_what_was_saved_comes_back_bit_for_bit(tmp_path_factory, saved, facts):
    path = tmp_path_factory.getbasetemp() / "round.safetensors"
    save(path, Checkpoint(saved, facts))
    back = load(path)
    assert list(back.tensors) == list(saved)
    for name, tensor in back.tensors.items():
        assert tensor.dtype == saved[name].dtype and tensor.shape == saved[name].shape and tensor.is_contiguous()
        assert bits(tensor) == bits(saved[name])
    assert back.facts == facts and json.dumps(back.facts) == json.dumps(facts)


def test_facts_are_exact(tmp_path):
    floats = [0.1 + 0.2, 1e-320, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, math.pi]
    save(tmp_path / "c", Checkpoint({}, {"floats": floats, "nan": math.nan, "big": 2**200, "絵": {"a": [None, True]}}))
    facts = load(tmp_path / "c").facts
    assert [x.hex() for x in facts["floats"]] == [x.hex() for x in floats]
    assert math.isnan(facts["nan"]) and facts["big"] == 2**200 and facts["絵"] == {"a": [None, True]}


def test_the_safetensors_library_reads_it(tmp_path):
    image = torch.rand(1, 3, 5, 7)
    saved = {"byte": torch.arange(3, dtype=torch.uint8), "image": image, "turned": image.mT, "same": image}
    save(tmp_path / "c.safetensors", Checkpoint(saved, {"step": 3}))
    back = safetensors.torch.load_file(tmp_path / "c.safetensors")
    assert back.keys() == saved.keys() and all(torch.equal(back[name], saved[name]) for name in saved)
    with safetensors.safe_open(tmp_path / "c.safetensors", "pt") as file:
        assert json.loads(file.metadata()["facts"]) == {"step": 3}


def test_tensors_under_autograd_come_back_as_plain_leaves(tmp_path):
    leaf = torch.rand(3, requires_grad=True)
    save(tmp_path / "c", Checkpoint({"leaf": leaf, "result": leaf * 2}, {}))
    back = load(tmp_path / "c").tensors
    assert torch.equal(back["result"], leaf.detach() * 2) and not back["leaf"].requires_grad


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_on_a_gpu_come_back_on_the_cpu(tmp_path):
    there = torch.rand(2, 3, 4, device="cuda")
    save(tmp_path / "c", Checkpoint({"there": there, "turned": there.mT}, {}))
    back = load(tmp_path / "c").tensors
    assert torch.equal(back["there"], there.cpu()) and torch.equal(back["turned"], there.mT.cpu())
    assert back["there"].device.type == "cpu"


def test_a_loaded_checkpoint_does_not_need_its_file(tmp_path):
    save(tmp_path / "c", Checkpoint({"a": torch.ones(1000)}, {}))
    back = load(tmp_path / "c").tensors["a"]
    (tmp_path / "c").write_bytes(b"")
    assert back.add_(1).sum() == 2000


def test_a_link_is_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "c").symlink_to(tmp_path / "elsewhere" / "real")
    save(tmp_path / "c", Checkpoint({}, {"step": 1}))
    assert (tmp_path / "c").is_symlink() and load(tmp_path / "elsewhere" / "real").facts == {"step": 1}


def test_no_checkpoint_is_said_to_be_none(tmp_path):
    assert "no checkpoint" in refused(tmp_path / "c")
    assert "directory" in refused(tmp_path)


def test_another_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    monkeypatch.setattr(checkpoint, "__version__", "7.8.9")
    save(tmp_path / "c", Checkpoint({"a": torch.ones(3)}, {}))
    monkeypatch.undo()
    assert "written by impasto 7.8.9, another version: its format is 2, not 1" in refused(tmp_path / "c")


def test_another_file_is_no_checkpoint(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(3)}, tmp_path / "weights", metadata={"format": "pt"})
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "list").write_bytes((2).to_bytes(8, "little") + b"[]")
    (tmp_path / "nested").write_bytes((10**6).to_bytes(8, "little") + b"[" * 10**6)
    for name in ("weights", "picture", "list", "nested"):
        assert "no checkpoint of impasto, or damaged" in refused(tmp_path / name)


def test_a_file_cut_short_or_grown_is_damaged(tmp_path):
    save(tmp_path / "c", Checkpoint({"a": torch.rand(100), "b": torch.rand(3).half()}, {"step": 1}))
    whole = (tmp_path / "c").read_bytes()
    for length in {*range(0, 20), 100, *range(len(whole) - 450, len(whole), 7), len(whole) - 1}:
        (tmp_path / "cut").write_bytes(whole[:length])
        assert "damaged" in refused(tmp_path / "cut")
    (tmp_path / "cut").write_bytes(whole + b"\0")
    assert "damaged" in refused(tmp_path / "cut")


def test_every_flipped_bit_is_found(tmp_path):
    save(tmp_path / "c", Checkpoint({"a": torch.rand(9)}, {"step": 0.125}))
    whole = (tmp_path / "c").read_bytes()
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 7
        (tmp_path / "flipped").write_bytes(flipped)
        assert re.search("damaged|another version", refused(tmp_path / "flipped"))


def saved_bytes(path: Path) -> bytes:
    save(path, Checkpoint({"a": torch.ones(10)}, {"step": 1}))
    return path.read_bytes()


def test_a_full_disk_leaves_the_earlier_checkpoint_and_nothing_else(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk can be mounted only by root")
    try:
        before = saved_bytes(tmp_path / "c")
        with pytest.raises(ImpastoError, match="c was not written, the disk is full") as error:
            save(tmp_path / "c", Checkpoint({"a": torch.ones(10**5)}, {}))
        assert "\n" not in str(error.value) and error.value.exit_code == 1
        assert (tmp_path / "c").read_bytes() == before and names(tmp_path) == ["c"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_limit_on_file_sizes_leaves_the_earlier_checkpoint_and_nothing_else(tmp_path):
    before = saved_bytes(tmp_path / "c")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    try:
        with pytest.raises(ImpastoError, match="c was not written"):
            save(tmp_path / "c", Checkpoint({"a": torch.ones(10**5)}, {}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "c").read_bytes() == before and names(tmp_path) == ["c"]


def test_an_interrupted_save_leaves_the_earlier_checkpoint_and_nothing_else(tmp_path, monkeypatch):
    before = saved_bytes(tmp_path / "c")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, call, interrupted)
            save(tmp_path / "c", Checkpoint({"a": torch.zeros(10)}, {}))
        assert (tmp_path / "c").read_bytes() == before and names(tmp_path) == ["c"]


def test_bytes_are_on_the_disk_before_the_name_is_theirs_and_then_the_name(tmp_path, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), rename(a, b)))
    save(tmp_path / "c", Checkpoint({}, {}))
    assert calls[:3] == ["fsync", "replace", "fsync"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ImpastoError, match="missing/c was not written"):
        save(tmp_path / "missing" / "c", Checkpoint({}, {}))


FORKS = """
import os, sys, torch  # once: it takes seconds, and the checkpoints' own module is new to every process
for line in sys.stdin:
    if not (child := os.fork()):
        from impasto.runs.checkpoint import Checkpoint, save
        print(os.getpid(), flush=True)
        step = int(line)
        while True:
            step += 1
            tensors = {f"t{i}": torch.full((250_000 + step % 7,), step + i, dtype=torch.float64) for i in range(3)}
            save(sys.argv[1], Checkpoint(tensors, {"step": step}))
            print(step, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def test_a_process_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    path, step, interrupted, chance = tmp_path / "c.safetensors", 0, 0, random.Random(0)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen([sys.executable, "-c", FORKS, path], **pipes) as forks:
        for _ in range(30):
            forks.stdin.write(f"{step}\n")
            pid, first = int(forks.stdout.readline()), int(forks.stdout.readline())
            assert first == step + 1
            time.sleep(chance.uniform(0, 0.1))
            os.kill(pid, signal.SIGKILL)
            said = [first, *map(int, iter(lambda: forks.stdout.readline().strip().replace("dead", ""), ""))]
            parts = [name for name in names(tmp_path) if name.endswith(".part")]
            assert len(parts) <= 1, "the next save removes what a killed one has left"
            interrupted += len(parts)
            back = load(path)
            step = back.facts["step"]
            assert step in (said[-1], said[-1] + 1), "the last that was done, or one that was done and not yet said"
            for i in range(3):
                assert back.tensors[f"t{i}"].shape == (250_000 + step % 7,)
                assert (back.tensors[f"t{i}"] == step + i).all()
        forks.stdin.close()
    assert interrupted, "no kill has hit a save"


MEASURES = """
import re, sys, torch
from pathlib import Path
from impasto.runs.checkpoint import Checkpoint, load, save

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

path, count, mb = sys.argv[1], 5, 100
one = torch.full((10,), 1.0)
save(path, Checkpoint({"a": one}, {})), load(path)
before = peak()
if sys.argv[2] == "save":
    tensors = {f"t{i}": torch.full((mb * 2**18,), float(i)) for i in range(count)}
    save(path, Checkpoint(tensors, {}))
else:
    tensors = load(sys.argv[2]).tensors
print(peak() - before)
assert all((tensors[f"t{i}"] == i).all() for i in range(count))
"""


@pytest.mark.slow  # two files of 500 MB
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for its memory")
def test_neither_saving_nor_loading_makes_a_second_copy(tmp_path):
    def peak(path: Path, what: str) -> float:
        return float(subprocess.check_output([sys.executable, "-c", MEASURES, path, what]))

    tensors = 500
    assert peak(tmp_path / "c", "save") < tensors + 40
    assert peak(tmp_path / "other", str(tmp_path / "c")) < tensors + 40
