"""Networks as options ask for them: their architecture, where they begin, and what a stage trains."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto import networks
from impasto.errors import UsageError
from impasto.runs.options_file import validate
from impasto.training.loop import Plan, train
from impasto.training.schedules import by_name
from impasto.translation.architectures import build
from impasto.translation.architectures.encoder import Encoder
from impasto.translation.architectures.unet import UNet
from impasto.translation.make import architecture_of, groups_of, kind_of, make, require_used
from impasto.translation.model import TranslationModel, save
from impasto.translation.options import EnhancementOptions, SegmentationOptions, TranslationOptions


def enhancing(**fields: Any) -> EnhancementOptions:
    return validate(EnhancementOptions, fields)


def segmenting(**fields: Any) -> SegmentationOptions:
    return validate(SegmentationOptions, fields)


# Which network


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (enhancing(), "light"),
        (enhancing(scale=2), "light"),
        (enhancing(task="colorize"), "unet"),
        (enhancing(task="colorize", architecture="light"), "light"),
        (enhancing(architecture="transformer"), "transformer"),
        (segmenting(), "unet"),
    ],
)
def test_the_task_chooses_where_nobody_else_does(options: TranslationOptions, kind: str) -> None:
    assert kind_of(options) == kind


@pytest.mark.parametrize(
    ("options", "scale", "out", "wanted"),
    [
        (enhancing(), 1, 3, {"kind": "light", "scale": 1, "icnr": True, "fold": 2}),
        (enhancing(fold=3, width=8, blocks=2), 1, 3,
         {"kind": "light", "scale": 1, "icnr": True, "fold": 3, "width": 8, "blocks": 2}),
        (enhancing(scale=4, icnr=False), 4, 3, {"kind": "light", "scale": 4, "icnr": False}),
        (enhancing(architecture="transformer", blocks=2, factored=True), 1, 3,
         {"kind": "transformer", "scale": 1, "factored": True, "blocks": 2}),
        (enhancing(architecture="unet", weights="none", attention=True, cross=False, norm="weight", blur=False), 1, 3,
         {"kind": "unet", "encoder_name": "pocket", "layers": None, "out": 3, "blur": False, "icnr": True,
          "attention": True, "cross": False, "norm": "weight"}),
        (segmenting(width=32), 1, 3,
         {"kind": "unet", "encoder_name": "pocket", "layers": None, "out": 3, "width": 32, "blur": True, "icnr": True,
          "attention": False, "cross": True, "norm": "batch", "residual": False}),
    ],
)  # fmt: skip
def test_the_architecture_says_what_was_asked_and_no_more(
    options: TranslationOptions, scale: int, out: int, wanted: dict[str, Any]
) -> None:
    assert architecture_of(options, scale=scale, out=out, network=None) == wanted
    build(wanted)


@pytest.mark.parametrize(
    ("fields", "scale", "words"),
    [
        ({"scale": 2, "architecture": "unet"}, 2, "a U-Net keeps the size: superres takes --architecture light"),
        ({"architecture": "unet", "blocks": 2, "fold": 2}, 1, "a U-Net has no blocks or fold: leave it out"),
        ({"task": "colorize", "blocks": 2}, 1, "a U-Net has no blocks"),
        ({"architecture": "transformer", "fold": 2}, 1, "a transformer network folds nothing"),
    ],
    ids=str,
)
def test_settings_of_another_architecture_are_one_line(fields: dict[str, Any], scale: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        architecture_of(enhancing(**fields), scale=scale, out=3, network=None)
    with pytest.raises(UsageError, match=words):
        make(enhancing(**fields), scale=scale)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (enhancing(attention=True),
         "--attention changes nothing of a light network: leave it out, or take --architecture unet"),
        (enhancing(norm="spectral", factored=True), "--norm and --factored change nothing of a light network: leave them out"),
        (enhancing(factored=True), "leave it out, or take --architecture transformer"),
        (enhancing(architecture="transformer", icnr=False), "leave it out, or take --architecture unet or light"),
        (enhancing(architecture="unet", factored=True), "--factored changes nothing of a unet network"),
        (enhancing(blur=False, cross=False), "--blur and --cross change nothing of a light network"),
        (enhancing(weights="none"), "--weights changes nothing"),
        (enhancing(encoder="vgg19"), "--encoder changes nothing"),
        (enhancing(discriminative=0.1), "--discriminative changes nothing"),
        (enhancing(scale=2, attention=True), "leave it out$"),
        (enhancing(critic="patch"), "--critic changes nothing without a stage named gan: leave it out, or add one, as"),
        (enhancing(stages=("all:1", "all:2"), adversarial="hinge", adversarial_weight=2, content_weight=1, critic_epochs=2,
                   switch=None, automatic_stop=False),
         "--adversarial and --adversarial-weight and --content-weight and --critic-epochs and --switch and --automatic-stop change "
         "nothing without a stage named gan: leave them out, or add one, as --stages all:10 gan:2$"),
        (enhancing(stages=("gan:2",), weight_decay=0.5, clip=None),
         "--weight-decay and --clip change nothing of stages named gan: leave them out, or add another stage, as"),
        (enhancing(stages=("all:1", "gan:1"), adversarial="wasserstein", switch=0.5), "--switch changes nothing of wasserstein"),
        (enhancing(feature_network="vgg19", feature_taps=("relu1_1",)),
         "--feature-network and --feature-taps change nothing of a loss of pixels alone: leave them out, or give --features"),
    ],
    ids=str,
)  # fmt: skip
def test_what_would_change_nothing_is_one_line(options: TranslationOptions, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        require_used(options)
    assert "\n" not in str(caught.value)


def test_what_is_as_by_default_is_not_asked_about() -> None:
    for options in (
        enhancing(),
        enhancing(scale=2),
        enhancing(task="colorize", attention=True),
        segmenting(norm="none"),
        enhancing(critic="patch", switch=None, automatic_stop=False, stages=("all:1", "gan:1")),
    ):
        require_used(options)
        require_used(validate(type(options), options.model_dump(mode="json")))


# Where it begins


def test_an_encoder_begins_pretrained_or_as_chance_has_it() -> None:
    network = networks.load("pocket")
    module, architecture, hashes = make(enhancing(architecture="unet", width=8))
    assert isinstance(module, UNet) and not module.training
    assert hashes == {"pocket": network.sha256} and architecture["layers"] == len(network.trunk)
    its = [value for _, layer in network.trunk for value in layer.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(module.encoder.state_dict().values(), its, strict=True))
    scratch, architecture, hashes = make(enhancing(architecture="unet", width=8, weights="none"))
    assert hashes == {} and architecture["layers"] is None
    assert not torch.equal(scratch.encoder.state_dict()["stages.0.0.weight"], its[0])  # type: ignore[union-attr, operator]


def test_the_seed_alone_says_which_weights_it_begins_with() -> None:
    def state(seed: int) -> dict[str, Tensor]:
        return make(enhancing(width=4, blocks=1, seed=seed))[0].state_dict()

    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = state(0)
    assert torch.equal(torch.get_rng_state(), before), "the world's own chance is left alone"
    torch.manual_seed(2)
    again, other = state(0), state(1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"encoder": "pokcet"}, "no network 'pokcet'.*pocket"),
        ({"encoder": "pokcet", "weights": "none"}, "no network 'pokcet'.*pocket"),
        ({"weights": "nowhere.safetensors"}, "no weights file .*nowhere.safetensors"),
        ({"init": "nowhere"}, "no model 'nowhere'"),
    ],
    ids=str,
)
def test_what_there_is_not_to_begin_with_is_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        make(enhancing(architecture="unet", **fields))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def x2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that enlarges twice, none of whose weights is what it began with."""
    module, architecture, _ = make(enhancing(scale=2, width=4, blocks=2), scale=2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    path = tmp_path_factory.mktemp("models") / "x2.safetensors"
    save(TranslationModel("x2", module, "superres", 2, architecture), path)
    return path


def test_another_scale_s_model_gives_all_but_the_last_convolution(x2: Path, caplog: pytest.LogCaptureFixture) -> None:
    fields = {"scale": 4, "width": 4, "blocks": 2}
    plain = make(enhancing(**fields), scale=4)[0].state_dict()
    with caplog.at_level(logging.WARNING, "impasto"):
        begun = make(enhancing(**fields, init=str(x2)), scale=4)[0].state_dict()
    there = {name for name in begun if not torch.equal(begun[name], plain[name])}
    assert there == begun.keys() - {"tail.weight", "tail.bias"} and len(there) == 14
    assert torch.equal(
        begun["head.bias"], make(enhancing(scale=2, width=4, blocks=2), scale=2)[0].state_dict()["head.bias"] + 1
    )
    (warning,) = caplog.messages
    assert warning.startswith("14 of 16 tensors are of ") and warning.endswith("the other 2 begin anew")


def test_the_same_architecture_is_taken_whole_without_a_word(x2: Path, caplog: pytest.LogCaptureFixture) -> None:
    begun = make(enhancing(scale=2, width=4, blocks=2, init=str(x2)), scale=2)[0].state_dict()
    wanted = make(enhancing(scale=2, width=4, blocks=2), scale=2)[0].state_dict()
    assert all(torch.equal(begun[name], wanted[name] + 1) for name in wanted) and not caplog.messages


def test_a_model_of_which_nothing_fits_is_one_line(x2: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing of the model .*x2.safetensors fits: its architecture is another"):
        make(enhancing(architecture="transformer", width=8, blocks=1, init=str(x2)))


# What a stage trains


class Normed(Encoder):
    """Two scales with batch norms, as networks of timm have them."""

    def __init__(self) -> None:
        super().__init__((0.5,) * 3, (0.25,) * 3)
        self.strides, self.channels = [1, 2], [4, 6]
        self.fine = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.coarse = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())

    def maps(self, image: Tensor) -> list[Tensor]:
        fine = self.fine(image)
        return [fine, self.coarse(fine)]


@dataclass
class Brighten:
    """To make pictures brighter."""

    steps: int = 3

    def batches(self, epoch: int, start: int) -> Iterator[Tensor]:
        for step in range(start, self.steps):
            yield torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return F.mse_loss(model(batch), batch + 0.2)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {}


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_frozen_encoder_keeps_weights_and_statistics_and_then_learns(average: float) -> None:
    torch.manual_seed(0)
    module = UNet(Normed(), width=8)
    before = {name: value.clone() for name, value in module.state_dict().items()}

    def changed(layers: str) -> set[str]:
        groups = groups_of(module, layers)
        plan = Plan(1, (1e-2,), by_name("constant"), average=average)
        list(train(module, groups, Brighten(), plan))
        return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}

    learnt = changed("decoder")
    assert learnt and not any(name.startswith("encoder.") for name in learnt)
    assert {"middle.0.running_mean", "last.1.weight"} <= learnt
    learnt = changed("all")
    assert {"encoder.fine.0.weight", "encoder.fine.1.running_mean", "encoder.coarse.2.running_var"} <= learnt


def test_groups_go_from_the_lowest_layers_up_and_leave_nothing_out() -> None:
    module = UNet(Normed(), width=8)
    low, high, rest = groups_of(module, "all")
    assert [id(p) for p in low + high] == [id(p) for p in module.encoder.parameters()]
    assert low[0] is module.encoder.fine[0].weight and len(low) == len(high) == 4  # type: ignore[index, union-attr]
    assert [id(p) for p in rest] == [id(p) for p in module.decoder.parameters()]
    assert all(p.requires_grad for p in module.parameters())
    (only,) = groups_of(module, "decoder")
    assert {id(p) for p in only} == {id(p) for p in rest} == {id(p) for p in module.parameters() if p.requires_grad}
    groups_of(module, "all")
    assert all(p.requires_grad for p in module.parameters()), "what one stage freezes the next one trains"


def test_a_network_without_a_decoder_is_trained_whole() -> None:
    module = make(enhancing(width=4, blocks=1))[0].requires_grad_(False)
    (only,) = groups_of(module, "all")
    assert len(only) == len(list(module.parameters())) and all(p.requires_grad for p in only)
    with pytest.raises(UsageError, match="only a U-Net has a decoder: write all:EPOCHS, or take --architecture unet"):
        groups_of(module, "decoder")
