"""The work in a run: its stages in turn, taken up from any checkpoint, and the rates that each is given."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.runs.directory import RunDirectory
from impasto.runs.options_file import validate
from impasto.runs.progress import Progress
from impasto.training.stage import Stage
from impasto.translation import model as models
from impasto.translation import work as room
from impasto.translation.make import make
from impasto.translation.model import TranslationModel
from impasto.translation.options import EnhancementOptions
from impasto.translation.work import TrainedModel, require_stages, work

STEPS = 2


@dataclass(frozen=True)
class Darken:
    """To make pictures darker; each epoch has pictures of its own."""

    size: int
    first: int
    steps: int = STEPS

    def batches(self, epoch: int, start: int) -> Iterator[Tensor]:
        for step in range(start, STEPS):
            chance = torch.Generator().manual_seed(1000 * (self.first + epoch) + step)
            yield torch.rand(2, 3, self.size, self.size, generator=chance)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return F.mse_loss(model(batch), batch / 2)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        picture = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        return {"loss": float(F.mse_loss(model(picture), picture / 2)), "psnr": 20.0}


class DarkLesson:
    """What there is to learn, and which stages asked."""

    def __init__(self, architecture: dict[str, Any]) -> None:
        self.architecture = architecture
        self.asked: list[tuple[Stage, int]] = []

    def epochs(self, stage: Stage) -> int:
        return stage.epochs + (stage.layers == "gan")  # for which the critic learns alone

    def task(self, stage: Stage, first_epoch: int) -> Darken:
        self.asked.append((stage, first_epoch))
        return Darken(stage.size or 8, first_epoch)

    def adversarial(self, module: nn.Module, stage: Stage, first_epoch: int, begin_at: Any) -> Iterator[Any]:
        self.asked.append((stage, first_epoch))
        assert all(p.requires_grad for p in module.parameters())
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.01)
        yield from ()

    def sheet(self, module: nn.Module) -> list[list[tuple[str, Tensor]]]:
        with torch.no_grad():
            return [[("dark", module(torch.full((1, 3, 8, 8), 0.5)))]]

    def model(self, module: nn.Module) -> TranslationModel:
        return TranslationModel("", module, "restore", architecture=self.architecture, card={"about": "dark"})


def options_of(**fields: Any) -> EnhancementOptions:
    plain = {"width": 4, "blocks": 1, "device": "cpu", "stages": ("all:1", "all:2@16"), "average": 0.9}
    return validate(EnhancementOptions, plain | fields)


def begin(path: Path, options: EnhancementOptions, every: float = 0) -> RunDirectory:
    manifest = {"every": every, "networks": {}, "made_with": {}, "seed": 0}
    return RunDirectory.create(path, verb="train-enhance", options=options.model_dump(mode="json"), manifest=manifest)


def go(path: Path, options: EnhancementOptions, listen: Callable[[Progress], object] | None = None) -> TrainedModel:
    """Begin the work in a directory, or go on with it."""
    run = RunDirectory.open(path) if (path / "manifest.json").exists() else begin(path, options)
    module, architecture, _ = make(options)
    with run.lock():
        return work(run, module, DarkLesson(architecture), options, listen)


def records(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in found]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take most of the time of so small a run; the run of `whole` has drawn them."""
    monkeypatch.setattr(room, "draw_curves", lambda records, path: path.write_bytes(b"drawn"))


class Killed(BaseException):
    """What no code catches."""


def killed_after(events: int) -> Callable[[Progress], None]:
    seen = 0

    def listen(event: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == events:
            raise Killed

    return listen


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """A run that nothing has interrupted: an epoch of small pictures, then two of large ones; two steps each."""
    return go(tmp_path_factory.mktemp("runs") / "whole", options_of())


def test_a_run_leaves_its_model_its_records_and_its_pictures(whole: TrainedModel) -> None:
    assert {path.name for path in whole.run.iterdir()} - {".lock"} == {
        "options.yaml", "manifest.json", "metrics.jsonl", "model.safetensors", "sheet.png", "curves.png",
    }  # fmt: skip
    found = records(whole.run)
    assert [(one["stage"], one["kind"], one["step"]) for one in found] == [
        (0, "step", 1), (0, "epoch", 2), (1, "step", 1), (1, "epoch", 2), (1, "step", 3), (1, "epoch", 4),
    ]  # fmt: skip
    assert all(one["name"] == "all" for one in found)
    with Image.open(whole.run / "curves.png") as curves, Image.open(whole.sheet) as sheet:
        assert curves.size == (1080, 270) and sheet.height > 256
    run = RunDirectory.open(whole.run)
    assert run.status == "finished" and run.manifest["output"] == "model.safetensors"
    assert whole.scores == {"loss": found[-1]["valid_loss"], "psnr": 20.0} == run.manifest["scores"]
    model = models.load(whole.run)
    assert model.card == {"about": "dark", "validation": whole.scores}
    assert (whole.model, whole.sheet) == (whole.run / "model.safetensors", whole.run / "sheet.png")
    assert found[-1]["valid_loss"] == pytest.approx(Darken(8, 0).evaluate(model.module)["loss"], rel=1e-4), (
        "what is judged is what is kept: the average"
    )


@pytest.mark.parametrize("events", range(1, 7))
def test_a_run_that_is_killed_anywhere_ends_in_the_same_bits(events: int, whole: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        go(tmp_path / "run", options_of(), killed_after(events))
    assert len(records(tmp_path / "run")) == events and not (tmp_path / "run/model.safetensors").exists()
    made = go(tmp_path / "run", options_of())
    mine, its = load_file(made.model), load_file(whole.model)
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in its)
    assert records(made.run) == records(whole.run) and made.scores == whole.scores
    assert models.load(made.run).card == models.load(whole.run).card
    assert RunDirectory.open(made.run).manifest["scores"] == whole.scores
    assert not (made.run / "checkpoint.safetensors").exists()


def test_what_no_checkpoint_knows_is_done_again(whole: TrainedModel, tmp_path: Path) -> None:
    begin(tmp_path / "run", options_of(), every=1e6)
    with pytest.raises(Killed):
        go(tmp_path / "run", options_of(), killed_after(4))
    assert len(records(tmp_path / "run")) == 4 and not (tmp_path / "run/checkpoint.safetensors").exists()
    made = go(tmp_path / "run", options_of())
    assert records(made.run) == records(whole.run)
    assert all(
        torch.equal(a, b) for a, b in zip(load_file(made.model).values(), load_file(whole.model).values(), strict=True)
    )


def test_progress_goes_up_through_all_stages(tmp_path: Path) -> None:
    heard: list[Progress] = []
    go(tmp_path / "run", options_of(), heard.append)
    assert [one.done for one in heard] == pytest.approx([0.99 * n / 6 for n in range(1, 7)])
    assert [one.where for one in heard] == ["all epoch 1/1"] * 2 + ["all epoch 1/2"] * 2 + ["all epoch 2/2"] * 2
    assert all("loss" in one.losses for one in heard)


def test_every_stage_is_told_how_many_epochs_came_before_it(tmp_path: Path) -> None:
    options = options_of(stages=("all:2", "gan:3", "all:1@24*1e-5"), average=0)
    module, architecture, _ = make(options)
    lesson = DarkLesson(architecture)
    run = begin(tmp_path / "run", options)
    with run.lock():
        work(run, module, lesson, options, None)
    assert lesson.asked == [(Stage("all", 2), 0), (Stage("gan", 3), 2), (Stage("all", 1, 1e-5, 24), 6)]
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    run, frozen = begin(tmp_path / "frozen", options), make(options)[0].requires_grad_(False)
    with run.lock():  # a stage named gan finds what an earlier one has frozen free
        work(run, frozen, lesson, validate(EnhancementOptions, dict(options) | {"stages": ("gan:1",)}), None)


def test_the_sheet_shows_what_the_scores_are_of(tmp_path: Path) -> None:
    """Taken from the running average, not from the weights in training."""
    options = options_of(stages=("all:2",), average=0.99, learning_rate=0.05)
    module, architecture, _ = make(options)
    seen: list[dict[str, Tensor]] = []

    class Watched(DarkLesson):
        def sheet(self, module: nn.Module) -> list[list[tuple[str, Tensor]]]:
            seen.append({name: value.clone() for name, value in module.state_dict().items()})
            return super().sheet(module)

    run = begin(tmp_path / "run", options)
    with run.lock():
        work(run, module, Watched(architecture), options, None)
    assert len(seen) == 3, "after each epoch, and of the model"
    assert all(torch.equal(seen[1][name], seen[2][name]) for name in seen[1])


def test_records_hold_nothing_that_json_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Darken, "evaluate", lambda self, model: {"loss": float("nan"), "psnr": float("inf")})

    def strict(word: str) -> None:
        raise AssertionError(word)

    go(tmp_path / "run", options_of(stages=("all:1",)))
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=strict)


# The rates


@pytest.mark.parametrize(
    ("fields", "rates"),
    [
        ({"stages": ("all:1",)}, [(1e-3,)]),
        ({"stages": ("all:1*5e-4",), "learning_rate": 1e-2}, [(5e-4,)]),
        ({"architecture": "unet", "stages": ("decoder:1", "all:1"), "learning_rate": 1e-2},
         [(1e-2,), (1e-5, 1e-4, 1e-3)]),
        ({"architecture": "unet", "stages": ("all:1",), "learning_rate": 1e-2}, [(1e-4, 1e-3, 1e-2)]),
        ({"architecture": "unet", "stages": ("all:1*1e-3",), "discriminative": 1.0}, [(1e-3,) * 3]),
        ({"architecture": "unet", "weights": "none", "stages": ("decoder:1", "all:1")}, [(1e-3,), (1e-3,) * 3]),
    ],
    ids=str,
)  # fmt: skip
def test_pretrained_layers_move_less_and_new_ones_alike(
    fields: dict[str, Any], rates: list[tuple[float, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Any] = []

    def plan_only(module: Any, groups: Any, task: Any, plan: Any, **_: Any) -> Iterator[Any]:
        assert len(groups) == len(plan.learning_rates)
        plans.append(plan)
        yield from ()

    monkeypatch.setattr(room, "train", plan_only)
    plain = {"width": 8, "blocks": None} if "architecture" in fields else {}
    made = go(tmp_path / "run", options_of(**plain, clip=0.5, weight_decay=0.2, optimizer="adam", seed=9, **fields))
    assert [plan.learning_rates for plan in plans] == [pytest.approx(one) for one in rates]
    for number, plan in enumerate(plans):
        assert (plan.clip, plan.weight_decay, plan.optimizer, plan.average) == (0.5, 0.2, "adam", 0.9)
        assert plan.seed == 9 + number and plan.epochs == 1 and plan.patience is None
        assert plan.momentum is not None and plan.schedule(0.25) == pytest.approx(1), "one-cycle"
    assert made.scores == {}


# What cannot be trained is found out before


@pytest.mark.parametrize(
    ("fields", "multiple", "words"),
    [
        ({"stages": ("all:1", "decoder:2")}, 1, "only a U-Net has a decoder"),
        ({"stages": ("all:1@64",)}, 3, "stage all:1@64: crops of 64 pixels do not divide by 3: take 63"),
        ({"stages": ("gan:1",), "size": 34}, 4, "stage gan:1: crops of 34 pixels do not divide by 4: take 32"),
        ({"stages": ("all:1",), "size": 9}, 24, "take 24"),
    ],
    ids=str,
)
def test_stages_that_cannot_be_trained_are_one_line(fields: dict[str, Any], multiple: int, words: str) -> None:
    options = options_of(**fields)
    with pytest.raises(UsageError, match=words) as caught:
        require_stages(make(options)[0], options, multiple)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stages", ["all:1@4", "gan:1@4", "decoder:1@4"])
def test_one_crop_that_ends_in_one_pixel_has_no_batch_norm(stages: str) -> None:
    """The pocket's deepest maps are an eighth or so of the picture; whatever it is, it is said."""
    plain = {"architecture": "unet", "width": 8, "blocks": None, "batch_size": 1}
    module = make(options_of(**plain))[0]
    side = module.stride
    assert isinstance(side, int)
    stage = stages.replace("@4", f"@{side}")
    options = options_of(**plain, stages=(stage,))
    with pytest.raises(UsageError, match=rf"stage {stage}: one crop of {side} pixels is a single pixel") as caught:
        require_stages(module, options, 1)
    assert "\n" not in str(caught.value)
    for fields in ({"batch_size": 2}, {"stages": (stages.replace("@4", f"@{side + 1}"),)}):
        fine = options_of(**plain | {"stages": (stage,)} | fields)
        module = make(fine)[0]
        require_stages(module, fine, 1)
        if "gan" not in stage:
            module.train()(torch.rand(fine.batch_size, 3, *[side + ("stages" in fields)] * 2))


def test_stages_that_can_be_trained_pass() -> None:
    options = options_of(stages=("all:1@64", "gan:2@32"), size=16)
    require_stages(make(options)[0], options, 16)
