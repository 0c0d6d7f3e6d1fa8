"""Features: computed once and kept by content; what changes is computed again, and nothing else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.learning.augmentation import augment, parse
from impasto.learning.features import (
    Features,
    augmentation_seeds,
    default_cache,
    features,
    planned_bytes,
    pooled,
)
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Pictures, Preprocessing, picture_hash
from impasto.networks import Network, Taps

SIZE = Preprocessing(24)
TAP = "relu2_1"


def draw(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    small.resize((36, 30), Image.Resampling.BICUBIC).save(path)


def scanned(folder: Path) -> Manifest:
    plain = Manifest.from_rows([{"path": path.name} for path in sorted(folder.glob("*.png"))], folder)
    return plain.having(sha256=[picture_hash(plain, row) for row in range(len(plain))])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for number in range(10):
        draw(tmp_path / "pictures" / f"{number}.png", number)
    return tmp_path / "pictures"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def network() -> Network:
    return networks.load("pocket")


@pytest.fixture
def run_through(network: Network) -> Iterator[list[int]]:
    """How many pictures went through the network, run by run; of those that were not single gray ones."""
    seen: list[int] = []

    def see(_module: object, inputs: tuple[torch.Tensor], _output: object) -> None:
        if inputs[0].std((2, 3)).max() > 0.01:
            seen.append(len(torch.unique(inputs[0], dim=0)))  # without those that fill the batch up

    handle = network.trunk[0][1].register_forward_hook(see)
    yield seen
    handle.remove()


def made(folder: Path, network: Network, cache: Path | None, **how: Any) -> Features:
    return features(scanned(folder), network, [TAP], **{"preprocessing": SIZE, "cache": cache} | how)[TAP]


class TestValues:
    def test_they_do_not_depend_on_what_was_there_before(self, folder: Path, network: Network, tmp_path: Path) -> None:
        rows = scanned(folder)
        for part in (rows.take([7, 2]), rows.take([0]), rows):
            features(part, network, [TAP], preprocessing=SIZE, cache=tmp_path / "warm")
        warm, cold = (
            features(rows, network, [TAP], preprocessing=SIZE, cache=tmp_path / name)[TAP].read(range(10))
            for name in ("warm", "cold")
        )
        assert torch.equal(warm, cold)

    @pytest.mark.parametrize("kept", [True, False])
    def test_they_are_those_of_the_network(self, folder: Path, network: Network, cache: Path, kept: bool) -> None:
        found = made(folder, network, cache if kept else None)
        images = Pictures(scanned(folder), SIZE).get(range(10)).float() / 255
        expected = pooled(Taps(network, [TAP])(images)[TAP], "avgmax")
        assert found.shape == expected.shape[1:]
        assert torch.allclose(found.read([4, 1, 4]), expected[[4, 1, 4]], rtol=1e-3, atol=1e-3)
        assert found.read([0]).dtype == torch.float32
        assert found.array().dtype == np.float16
        assert len(found) == 10

    def test_reading_from_the_cache_gives_the_same_bits_memory_mapped(
        self, folder: Path, network: Network, cache: Path
    ) -> None:
        first = made(folder, network, cache).array()
        again = made(folder, network, cache).array()
        assert isinstance(again, np.memmap)
        assert np.array_equal(first, again)

    def test_maps_are_kept_whole_if_asked(self, folder: Path, network: Network, cache: Path) -> None:
        assert made(folder, network, cache, pool="none").shape == (32, 12, 12)

    def test_each_tap_may_have_its_own_pool(self, folder: Path, network: Network) -> None:
        found = features(
            scanned(folder), network, [TAP, "pixels"], preprocessing=SIZE, pool={TAP: "avg", "pixels": "none"}
        )
        assert found[TAP].shape == (32,)
        assert found["pixels"].shape == (3, 24, 24)

    def test_what_has_no_positions_is_kept_as_it_is(self) -> None:
        flat = torch.rand(2, 5)
        assert torch.equal(pooled(flat, "avgmax"), flat)
        assert pooled(torch.rand(2, 7, 5), "avgmax").shape == (2, 10)

    def test_equal_pictures_are_computed_once(
        self, folder: Path, network: Network, cache: Path, run_through: list[int]
    ) -> None:
        (folder / "copy.png").write_bytes((folder / "3.png").read_bytes())
        found = made(folder, network, cache)
        assert sum(run_through) == 10
        assert torch.equal(found.read([3]), found.read([10]))

    def test_rows_without_a_hash_are_hashed(self, folder: Path, network: Network, cache: Path) -> None:
        made(folder, network, cache)
        bare = scanned(folder).having(sha256=[None] * 10)
        assert planned_bytes(bare, network, [TAP], preprocessing=SIZE, cache=cache) == 0

    def test_no_rows_are_no_features(self, folder: Path, network: Network, cache: Path) -> None:
        none = scanned(folder).take([])
        assert len(features(none, network, [TAP], preprocessing=SIZE, cache=cache)[TAP]) == 0

    def test_pictures_at_hand_are_taken(self, folder: Path, network: Network) -> None:
        rows = scanned(folder)
        pictures = Pictures(rows, SIZE)
        pictures.get(range(10))
        found = features(rows, network, [TAP], preprocessing=SIZE, pictures=pictures)
        assert torch.equal(found[TAP].read([0]), made(folder, network, None).read([0]))
        with pytest.raises(ValueError, match="preprocessing"):
            features(rows, network, [TAP], preprocessing=Preprocessing(32), pictures=pictures)


class TestWork:
    def test_the_second_time_nothing_runs(
        self, folder: Path, network: Network, cache: Path, run_through: list[int]
    ) -> None:
        made(folder, network, cache)
        run_through.clear()
        made(folder, network, cache)
        assert run_through == []

    def test_only_changed_and_new_pictures_run(
        self, folder: Path, network: Network, cache: Path, run_through: list[int]
    ) -> None:
        before = made(folder, network, cache)
        draw(folder / "4.png", 99)
        draw(folder / "new.png", 100)
        (folder / "0.png").unlink()
        run_through.clear()
        after = made(folder, network, cache)
        assert sum(run_through) == 2
        assert torch.equal(after.read([0, 1, 2]), before.read([1, 2, 3]))
        assert not torch.equal(after.read([3]), before.read([4]))

    def test_a_moved_folder_and_another_order_need_nothing(
        self, folder: Path, network: Network, cache: Path, run_through: list[int]
    ) -> None:
        before = made(folder, network, cache)
        run_through.clear()
        other = folder.rename(folder.parent / "moved")
        rows = scanned(other).take([5, 2])
        found = features(rows, network, [TAP], preprocessing=SIZE, cache=cache)[TAP]
        assert run_through == []
        assert torch.equal(found.read([0, 1]), before.read([5, 2]))

    def test_one_run_serves_all_taps(self, folder: Path, network: Network, cache: Path, run_through: list[int]) -> None:
        features(scanned(folder), network, ["relu1_1", TAP, "relu3_1"], preprocessing=SIZE, cache=cache)
        assert sum(run_through) == 10

    def test_a_further_tap_leaves_what_is_there(
        self, folder: Path, network: Network, cache: Path, run_through: list[int]
    ) -> None:
        made(folder, network, cache)
        files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")}
        features(scanned(folder), network, [TAP, "relu3_1"], preprocessing=SIZE, cache=cache)
        assert all(path.stat().st_mtime_ns == when for path, when in files.items())
        assert len(list(cache.rglob("*.safetensors"))) == 2

    @pytest.mark.parametrize(
        "how",
        [
            {"preprocessing": Preprocessing(32)},
            {"preprocessing": Preprocessing(24, "crop")},
            {"pool": "avg"},
            {"copies": 2, "augmentations": parse(["flip"])},
        ],
    )
    def test_another_way_of_looking_is_another_column(
        self, folder: Path, network: Network, cache: Path, how: dict[str, Any]
    ) -> None:
        made(folder, network, cache)
        columns = len(list(cache.iterdir()))
        made(folder, network, cache, **how)
        assert len(list(cache.iterdir())) == columns + 1

    def test_another_tap_is_another_column_but_its_other_name_is_not(
        self, folder: Path, network: Network, cache: Path
    ) -> None:
        rows = scanned(folder)
        made(folder, network, cache)
        assert planned_bytes(rows, network, ["relu1_1"], preprocessing=SIZE, cache=cache) > 0
        path = network.aliases[TAP]
        assert planned_bytes(rows, network, [path], preprocessing=SIZE, cache=cache) == 0

    def test_weights_below_the_tap_count_and_those_above_do_not(
        self, folder: Path, network: Network, cache: Path
    ) -> None:
        made(folder, network, cache)
        rows = scanned(folder)
        layers = [layer for _, layer in network.trunk if isinstance(layer, torch.nn.Conv2d)]
        layers[-1].weight.data[0, 0, 0, 0] += 1
        assert planned_bytes(rows, network, [TAP], preprocessing=SIZE, cache=cache) == 0
        layers[0].weight.data[0, 0, 0, 0] += 1e-6
        assert planned_bytes(rows, network, [TAP], preprocessing=SIZE, cache=cache) > 0

    def test_the_architecture_counts(self, folder: Path, network: Network, cache: Path) -> None:
        made(folder, network, cache)
        other = networks.load("pocket", padding="reflect")
        assert planned_bytes(scanned(folder), other, ["relu2_1"], preprocessing=SIZE, cache=cache) > 0


class TestCopies:
    AUGMENTATIONS = parse(["flip", "rotate"])

    def test_they_are_of_the_augmented_pictures(self, folder: Path, network: Network, cache: Path) -> None:
        found = made(folder, network, cache, copies=3, augmentations=self.AUGMENTATIONS, seed=5)
        rows = scanned(folder)
        images = Pictures(rows, SIZE).get(range(10)).float() / 255
        seeds = augmentation_seeds(rows.column("sha256"), 5, 2)
        turned, _ = augment(images, self.AUGMENTATIONS, seeds)
        expected = pooled(Taps(network, [TAP])(turned)[TAP], "avgmax")
        assert torch.allclose(found.read(range(10), copy=2), expected, rtol=1e-3, atol=1e-3)
        assert not torch.equal(found.read(range(10), copy=1), found.read(range(10), copy=2))

    def test_the_plain_copy_is_shared_whatever_the_augmentations(
        self, folder: Path, network: Network, cache: Path, run_through: list[int]
    ) -> None:
        plain = made(folder, network, cache)
        run_through.clear()
        found = made(folder, network, cache, copies=2, augmentations=self.AUGMENTATIONS)
        assert sum(run_through) == 10
        assert torch.equal(found.read(range(10), copy=0), plain.read(range(10)))

    def test_more_copies_leave_those_that_are_there(
        self, folder: Path, network: Network, cache: Path, run_through: list[int]
    ) -> None:
        made(folder, network, cache, copies=2, augmentations=self.AUGMENTATIONS)
        run_through.clear()
        made(folder, network, cache, copies=4, augmentations=self.AUGMENTATIONS)
        assert sum(run_through) == 20

    @pytest.mark.parametrize("how", [{"seed": 1}, {"augmentations": parse(["flip", "rotate:16"])}])
    def test_another_seed_or_strength_makes_new_copies(
        self, folder: Path, network: Network, cache: Path, how: dict[str, Any]
    ) -> None:
        usual = {"copies": 2, "augmentations": self.AUGMENTATIONS, "seed": 0}
        made(folder, network, cache, **usual)
        made(folder, network, cache, **usual | how)
        assert len(list(cache.iterdir())) == 3

    def test_a_copy_does_not_depend_on_the_order_of_the_rows(self, folder: Path, network: Network, cache: Path) -> None:
        usual: dict[str, Any] = {"preprocessing": SIZE, "copies": 2, "augmentations": self.AUGMENTATIONS}
        rows = scanned(folder)
        one = features(rows, network, [TAP], **usual)[TAP].read(range(10), 1)
        other = features(rows.take(range(9, -1, -1)), network, [TAP], **usual)[TAP].read(range(10), 1)
        assert torch.allclose(one, other.flip(0), rtol=2e-3, atol=1e-3)

    def test_copies_without_augmentations_are_refused(self, folder: Path, network: Network) -> None:
        with pytest.raises(UsageError, match="augmentations"):
            made(folder, network, None, copies=3)


class TestRoom:
    def test_what_is_planned_is_said_first_and_is_what_is_written(
        self, folder: Path, network: Network, cache: Path
    ) -> None:
        how: dict[str, Any] = {"preprocessing": SIZE, "cache": cache, "copies": 2, "augmentations": parse(["flip"])}
        rows = scanned(folder)
        planned = planned_bytes(rows, network, [TAP], **how)
        assert not cache.exists()
        said: list[tuple[float, str]] = []
        features(rows, network, [TAP], **how, progress=lambda done, words: said.append((done, words)))
        assert planned == 10 * 2 * 64 * 2
        assert said[0] == (0.0, f"2.6 kB of features to write in {cache}")
        assert said[-1][0] == 1.0
        written = sum(path.stat().st_size for path in cache.rglob("*.safetensors"))
        assert 0 <= written - planned < 4000

    def test_too_small_a_disk_is_refused_before_anything_is_written(
        self, folder: Path, network: Network, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("impasto.learning.features.free_bytes", lambda folder: 1000)
        with pytest.raises(ImpastoError, match="free some space"):
            made(folder, network, cache)
        assert not cache.exists()

    def test_a_file_that_may_not_grow_is_one_line_and_leaves_nothing_half(
        self, folder: Path, network: Network, cache: Path
    ) -> None:
        import resource

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            with pytest.raises(ImpastoError, match="was not written") as said:
                made(folder, network, cache)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert "\n" not in str(said.value)
        assert [path.name for path in cache.rglob("*") if path.is_file()] == ["column.json"]
        assert len(made(folder, network, cache)) == 10

    def test_the_cache_is_where_the_environment_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IMPASTO_HOME", str(tmp_path))
        monkeypatch.delenv("IMPASTO_FEATURES", raising=False)
        assert default_cache() == tmp_path / "features"
        monkeypatch.setenv("IMPASTO_FEATURES", str(tmp_path / "elsewhere"))
        assert default_cache() == tmp_path / "elsewhere"


class TestErrors:
    def test_a_wrong_tap_lists_the_right_ones(self, folder: Path, network: Network) -> None:
        with pytest.raises(UsageError, match="relu1_1"):
            features(scanned(folder), network, ["relu9_9"], preprocessing=SIZE)

    def test_a_wrong_pool_lists_the_right_ones(self, folder: Path, network: Network) -> None:
        with pytest.raises(UsageError, match="avgmax, avg, none"):
            made(folder, network, None, pool="max")

    def test_a_picture_changed_since_the_scan_is_named(self, folder: Path, network: Network) -> None:
        rows = scanned(folder)
        draw(folder / "6.png", 77)
        with pytest.raises(UsageError, match=r"6\.png has changed"):
            features(rows, network, [TAP], preprocessing=SIZE)

    def test_a_missing_picture_is_named(self, folder: Path, network: Network) -> None:
        rows = scanned(folder)
        (folder / "6.png").unlink()
        with pytest.raises(UsageError, match=r"6\.png"):
            features(rows, network, [TAP], preprocessing=SIZE)

    def test_a_broken_picture_is_named_and_what_came_before_is_kept(
        self, folder: Path, network: Network, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("impasto.learning.features._LARGEST_BATCH", 2)
        (folder / "9.png").write_bytes((folder / "9.png").read_bytes()[:100])
        with pytest.raises(UsageError, match=r"9\.png"):
            made(folder, network, cache)
        rows = scanned(folder)
        left = planned_bytes(rows, network, [TAP], preprocessing=SIZE, cache=cache)
        assert left == 2 * 64 * 2

    def test_activations_beyond_float16_are_refused(self, folder: Path, network: Network, cache: Path) -> None:
        layer = next(layer for _, layer in network.trunk if isinstance(layer, torch.nn.Conv2d))
        layer.weight.data *= 1e7
        with pytest.raises(UsageError, match=f"{TAP} of pocket.*65504"):
            made(folder, network, cache)
        assert not list(cache.rglob("*.safetensors"))

    def test_a_network_in_training_is_refused(self, folder: Path, network: Network) -> None:
        network.module.train()
        with pytest.raises(ValueError, match="evaluation"):
            made(folder, network, None)


KILLED = """
import json, sys, time
from pathlib import Path
from impasto import networks
from impasto.learning import features, shards
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Preprocessing
features._LARGEST_BATCH, shards.SHARD_PICTURES = 2, 2
rows = Manifest.from_rows(json.loads(Path(sys.argv[1]).read_text()), sys.argv[3])
features.features(rows, networks.load("pocket"), ["relu2_1"], preprocessing=Preprocessing(24), cache=Path(sys.argv[2]),
                  progress=lambda done, words: time.sleep(0.2))
"""


def test_a_killed_computation_goes_on_from_its_last_shard(
    folder: Path, network: Network, cache: Path, tmp_path: Path, run_through: list[int], wait_until: Callable[..., None]
) -> None:
    rows = scanned(folder)
    (tmp_path / "rows.json").write_text(json.dumps(rows.table.to_pylist()))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "rows.json"), str(cache), str(folder)]
    with subprocess.Popen(command) as process:
        wait_until(lambda: len(list(cache.rglob("*.safetensors"))) >= 2)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    left = planned_bytes(rows, network, [TAP], preprocessing=SIZE, cache=cache) // (64 * 2)
    assert 0 < left <= 6
    found = made(folder, network, cache)
    assert sum(run_through) == left
    whole = made(folder, network, None)
    assert torch.allclose(found.read(range(10)), whole.read(range(10)), rtol=2e-3, atol=1e-3)
