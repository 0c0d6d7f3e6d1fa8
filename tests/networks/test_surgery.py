"""Surgery: what should change nothing changes nothing, what would is refused, and the patient is left as it was."""

import itertools
from collections import OrderedDict
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from impasto.errors import ImpastoError, UsageError
from impasto.images import read
from impasto.networks import Network, Taps, load
from impasto.networks.network import chain, vgg_aliases
from impasto.networks.surgery import (
    change_dropout,
    compare,
    insert_as_in,
    insert_batch_norm,
    replace_head,
    split_at,
)
from impasto.networks.surgery.batch_norm import Moments, measure
from impasto.networks.surgery.dropout import ClassicDropout
from impasto.networks.surgery.file import save_weights
from impasto.networks.surgery.proof import Proof, prove


def pictures(count: int = 3, size: int = 40, seed: int = 0) -> list[Tensor]:
    """Batches of two pictures, of sizes that differ."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(2, 3, size + 8 * i, size, generator=generator) for i in range(count)]


@pytest.fixture
def vgg() -> Network:
    """A chain with a classifier behind it, as torchvision's VGG has, narrow."""
    torch.manual_seed(0)
    features = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU()),
    )
    classifier = nn.Sequential(
        *(nn.Linear(48, 20), nn.ReLU(), nn.Dropout(0.5), nn.Linear(20, 20), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(20, 5),
    )
    module = nn.Sequential(
        OrderedDict(features=features, avgpool=nn.AdaptiveAvgPool2d(2), flatten=nn.Flatten(), classifier=classifier)
    )
    module.requires_grad_(False).eval()
    trunk = chain(module, "features")
    return Network("narrow", module, trunk=trunk, aliases=vgg_aliases(trunk), style_taps=("relu1_1", "relu2_1"))


def state(module: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in module.state_dict().items()}


def unchanged(module: nn.Module, before: dict[str, Tensor]) -> bool:
    now = module.state_dict()
    return now.keys() == before.keys() and all(torch.equal(now[key], before[key]) for key in now)


def output(network: Network, image: Tensor) -> Tensor:
    with torch.no_grad():
        return network.module(network.normalise(image))  # type: ignore[no-any-return]


def test_batch_norm_changes_no_output_and_no_tap(vgg: Network) -> None:
    made, proof = insert_batch_norm(vgg, pictures())
    assert proof.identity and proof.pictures == 6 and 0 < proof.relative < 1e-5
    assert {name for name, _ in proof.places} == {"features.0", "features.2", "features.5", "output"}
    other = torch.rand(1, 3, 33, 50, generator=torch.Generator().manual_seed(9))  # not one it was measured on
    names = list(vgg.aliases)
    assert names == list(made.aliases)
    for (name, old), new in zip(Taps(vgg, names)(other).items(), Taps(made, names)(other).values(), strict=True):
        assert torch.allclose(old, new, atol=1e-5 * float(old.abs().max())), name
    assert torch.allclose(output(vgg, other), output(made, other), atol=1e-5)


def test_batch_norm_in_float64_is_exact_to_float64(vgg: Network) -> None:
    double = vgg.to("cpu", torch.float64)
    _, proof = insert_batch_norm(double, pictures())
    assert proof.relative < 1e-13


def test_a_norm_filled_in_float32_compared_in_float64_shows_its_rounding_alone(vgg: Network) -> None:
    made, proof = insert_batch_norm(vgg, pictures())
    in_double = compare("again", vgg, made, pictures(), ["features.5"], dtype=torch.float64)
    assert in_double.relative < 2e-7 and in_double.relative <= proof.relative
    assert next(made.module.parameters()).dtype == torch.float32


def test_the_moments_are_those_of_all_positions_of_all_pictures(vgg: Network) -> None:
    moments = measure(vgg, pictures(), ["features.2"])["features.2"]
    with torch.no_grad():
        seen = [vgg.module[0][:3](vgg.normalise(batch)).transpose(0, 1).flatten(1).double() for batch in pictures()]  # type: ignore[index]
    whole = torch.cat(seen, dim=1)
    assert moments.count == whole.shape[1]
    assert torch.allclose(moments.mean, whole.mean(dim=1), rtol=1e-12)
    assert torch.allclose(moments.variance, whole.var(dim=1, unbiased=False), rtol=1e-12)


def test_moments_keep_a_small_variance_far_from_zero() -> None:
    moments, generator = Moments(), torch.Generator().manual_seed(0)
    values = 1e6 + torch.randn(40, 1, 9, 9, generator=generator, dtype=torch.float64)
    for part in values.split(7):
        moments.add(part)
    assert torch.allclose(moments.variance, values.var(unbiased=False).view(1), rtol=1e-9)


def test_norms_measured_one_by_one_are_those_measured_at_once(vgg: Network) -> None:
    at_once, _ = insert_batch_norm(vgg, pictures())
    one_by_one = vgg
    for name in ("conv1_1", "conv1_2", "conv2_1"):
        one_by_one, _ = insert_batch_norm(one_by_one, pictures(), name)
    for key, tensor in at_once.module.state_dict().items():
        assert torch.allclose(tensor.float(), one_by_one.module.state_dict()[key].float(), rtol=1e-4, atol=1e-6), key


def test_in_training_a_norm_starts_near_the_pretrained_outputs(vgg: Network) -> None:
    batch = [torch.rand(16, 3, 40, 40, generator=torch.Generator().manual_seed(0))]
    made, _ = insert_batch_norm(vgg, batch)
    made.module.get_submodule("features").train()
    # the batch that was measured has the norm's own statistics: training sees what evaluation sees
    assert torch.allclose(output(made, batch[0]), output(vgg, batch[0]), atol=1e-4)


@torch.no_grad()
def test_a_channel_that_never_varies_is_left_as_it_is(vgg: Network) -> None:
    first = vgg.module.get_submodule("features.0")
    first.weight[3] = 0  # type: ignore[index,operator]
    made, proof = insert_batch_norm(vgg, pictures())
    assert made.module.get_parameter("features.0.norm.weight")[3] == pytest.approx(1e-5**0.5)
    assert proof.relative < 1e-5


def test_batch_norm_keeps_every_key_and_adds_its_own(vgg: Network) -> None:
    before = state(vgg.module)
    made, _ = insert_batch_norm(vgg, pictures(), ["conv1_2", "features.5"])
    after = made.module.state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    added = {key.rpartition(".")[0] for key in after.keys() - before.keys()}
    assert added == {"features.2.norm", "features.5.norm"}
    assert unchanged(vgg.module, before)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in vgg.module.modules())
    assert dict(made.trunk)["features.5"] is made.module.get_submodule("features.5")
    assert not any(p.requires_grad for p in made.module.parameters())


def test_the_course_s_mistake_is_refused(vgg: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.networks.surgery import batch_norm

    def wrong(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
        assert norm.running_mean is not None and norm.running_var is not None
        for place, value in zip((norm.running_mean, norm.running_var, norm.bias.data), (mean, variance, mean)):
            place.copy_(value)
        norm.weight.data.copy_(variance)  # γ = σ²

    monkeypatch.setattr(batch_norm, "fill", wrong)
    with pytest.raises(ImpastoError, match="should leave the outputs as they are and changes"):
        insert_batch_norm(vgg, pictures())


def test_the_worst_of_all_pictures_counts_and_a_not_a_number_is_the_worst() -> None:
    batches = [torch.ones(1, 1), torch.full((2, 1), 4.0), torch.zeros(1, 1)]
    proof = prove("it", lambda x: {"output": x}, lambda x: {"output": x + x * (x == 1)}, batches)
    assert (proof.largest, proof.relative, proof.pictures) == (1.0, 0.25, 4)
    bad = prove("it", lambda x: {"output": x}, lambda x: {"output": torch.where(x == 1, torch.nan, x)}, batches)
    with pytest.raises(ImpastoError, match="changes output by nan"):
        bad.require_identity()


def test_a_not_a_number_is_no_identity() -> None:
    nan = float("nan")
    with pytest.raises(ImpastoError, match="changes output by nan"):
        Proof("it", nan, nan, 1, places=(("first", 0.0), ("output", nan))).require_identity()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("relu1_1", "relu1_1 of narrow is no convolution without a norm: there are conv1_1, conv1_2, conv2_1"),
        (["conv1_1", "nowhere"], "nowhere of narrow is no convolution"),
        ([], "no layer was named"),
    ],
)
def test_a_wrong_place_for_a_norm_is_named(vgg: Network, where: str | list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        insert_batch_norm(vgg, pictures(), where)


def test_bad_pictures_are_refused(vgg: Network) -> None:
    for bad, said in (
        ([], "there are none"),
        (iter(pictures()), "give a list, not an iterator"),
        ([torch.rand(1, 4, 8, 8)], "pictures are tensors"),
        ([torch.rand(1, 3, 1, 1)], "a picture of 1×1 pixels is too small for narrow"),
    ):
        with pytest.raises(UsageError, match=said):
            insert_batch_norm(vgg, bad)


def test_batch_norm_is_not_put_on_batch_norm(vgg: Network) -> None:
    made, _ = insert_batch_norm(vgg, pictures())
    with pytest.raises(UsageError, match="has batch norm already"):
        insert_batch_norm(made, pictures())


def test_a_file_with_norms_comes_back(vgg: Network, tmp_path: Path) -> None:
    made, proof = insert_batch_norm(vgg, pictures(), ["conv1_2", "conv2_1"])
    save_weights(vgg, made.module, proof, tmp_path / "norm.safetensors")
    tensors = load_file(tmp_path / "norm.safetensors")
    assert insert_as_in(vgg.module, tensors) == ["features.2", "features.5"]
    vgg.module.load_state_dict(tensors)
    image = pictures()[0]
    assert torch.equal(output(vgg, image), output(made, image))


def test_inverted_dropout_changes_no_weight_and_no_output(vgg: Network) -> None:
    before = state(vgg.module)
    made, proof = change_dropout(vgg, 0.2)
    assert proof.identity and proof.largest == 0 and "in 2 places" in proof.operation
    assert unchanged(made.module, before)
    assert [layer.p for layer in made.module.modules() if isinstance(layer, nn.Dropout)] == [0.2, 0.2]
    assert [layer.p for layer in vgg.module.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def test_classic_dropout_scales_weights_and_not_biases(vgg: Network) -> None:
    before = state(vgg.module)
    made, proof = change_dropout(vgg, 0.2, "classic", pictures())
    assert proof.relative < 1e-6 and unchanged(vgg.module, before)
    for key, tensor in made.module.state_dict().items():
        scaled = key in ("classifier.3.weight", "classifier.6.weight")
        assert torch.allclose(tensor, before[key] * (0.5 / 0.8 if scaled else 1)), key


def test_classic_dropout_keeps_the_mean_over_all_masks() -> None:
    torch.manual_seed(0)
    old = nn.Sequential(ClassicDropout(0.5), nn.ReLU(), nn.Linear(6, 3)).double()
    x = torch.rand(1, 6, dtype=torch.float64)
    new, _ = change_dropout(old, 0.2, "classic", x)

    def mean_over_masks(module: nn.Sequential, p: float) -> Tensor:
        linear, total = module[2], torch.zeros(1, 3, dtype=torch.float64)
        for kept in itertools.product((0.0, 1.0), repeat=6):
            chance = (1 - p) ** sum(kept) * p ** (6 - sum(kept))
            total += chance * linear(torch.relu(x * torch.tensor(kept)))
        return total

    expected = mean_over_masks(old, 0.5)
    assert torch.allclose(mean_over_masks(new, 0.2), expected, rtol=1e-12)
    assert torch.allclose(old.eval()(x), expected, rtol=1e-12)  # evaluation is that mean
    assert torch.allclose(new.eval()(x), expected, rtol=1e-12)


def test_classic_dropout_in_training_drops_as_often_as_it_says_and_scales_nothing() -> None:
    torch.manual_seed(0)
    dropped = ClassicDropout(0.3).train()(torch.ones(100_000))
    assert set(dropped.tolist()) == {0.0, 1.0} and abs(float(dropped.mean()) - 0.7) < 0.01


def test_classic_weights_come_to_pytorch_by_removing_their_dropout(vgg: Network) -> None:
    x = torch.rand(4, 20)
    classic = nn.Sequential(nn.Dropout(0.5), nn.Linear(20, 3)).eval()
    removed, _ = change_dropout(classic, 0, "classic", x)
    linear = classic[1]
    assert torch.allclose(removed(x), linear(0.5 * x))


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ((nn.Dropout(0.5), nn.BatchNorm1d(6)), "behind it is 1, a BatchNorm1d"),
        ((nn.Dropout(0.5), nn.Sigmoid(), nn.Linear(6, 2)), "behind it is 1, a Sigmoid"),
        ((nn.Linear(6, 6), nn.Dropout(0.5)), "behind it is nothing that is known"),
    ],
)
def test_classic_dropout_without_a_layer_to_scale_is_refused(layers: tuple[nn.Module, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        change_dropout(nn.Sequential(*layers), 0.1, "classic", torch.rand(2, 6))


def test_dropout_that_cannot_be_is_refused(vgg: Network) -> None:
    with pytest.raises(UsageError, match=r"in \[0, 1\), not 1"):
        change_dropout(vgg, 1.0)
    with pytest.raises(UsageError, match="no convention 'caffe' of dropout: there are inverted, classic"):
        change_dropout(vgg, 0.1, "caffe")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="pocket has no dropout"):
        change_dropout(load("pocket"), 0.0)
    with pytest.raises(UsageError, match="give inputs"):
        change_dropout(nn.Sequential(nn.Dropout(0.1)), 0.0)


@pytest.mark.parametrize("tap", ["conv1_1", "pool1", "relu2_1"])
def test_the_parts_of_a_split_give_the_very_output_of_the_whole(vgg: Network, tap: str) -> None:
    before = state(vgg.module)
    lower, upper, proof = split_at(vgg, tap, pictures())
    assert proof.largest == 0 and proof.pictures == 6 and unchanged(vgg.module, before)
    image = pictures()[1]
    with torch.no_grad():
        assert torch.equal(upper(output(lower, image)), output(vgg, image))
        assert torch.allclose(upper(Taps(lower, [tap])(image)[tap]), output(vgg, image), atol=1e-6)
    assert lower.module.state_dict().keys().isdisjoint(upper.state_dict().keys())
    assert {**lower.module.state_dict(), **upper.state_dict()}.keys() == before.keys()
    assert tap in lower.aliases and lower.trunk[-1][0] == vgg.aliases[tap]


def test_the_upper_part_learns_from_activations_and_leaves_the_network_alone(vgg: Network) -> None:
    before = state(vgg.module)
    lower, upper, _ = split_at(vgg, "pool1")
    upper.requires_grad_(True)
    activations = Taps(lower, ["pool1"])(pictures()[0])["pool1"]
    upper(activations).square().mean().backward()
    torch.optim.SGD(upper.parameters(), 0.1).step()
    assert not unchanged(upper, {key: before[key] for key in upper.state_dict()})
    assert unchanged(vgg.module, before)


def test_a_split_off_the_chain_is_refused(vgg: Network) -> None:
    with pytest.raises(UsageError, match="cannot be split at relu9_1, which is not on its chain: there are"):
        split_at(vgg, "relu9_1")
    with pytest.raises(UsageError, match="its layers are no plain chain"):
        split_at(Network("tree", vgg.module), "features.3")


def test_another_head_leaves_the_activations_below_as_they_were(vgg: Network) -> None:
    before = state(vgg.module)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3))
    made, proof = replace_head(vgg, head, pictures())
    assert proof.largest == 0 and proof.places == (("features.6", 0.0),) and unchanged(vgg.module, before)
    assert output(made, pictures()[0]).shape == (2, 3)
    assert made.module.get_submodule("head") is not head
    assert set(made.module.state_dict()) == {k for k in before if k.startswith("features.")} | {
        "head.2.weight",
        "head.2.bias",
    }
    assert list(Taps(made, ["relu1_1"])(pictures()[0])) == ["relu1_1"]


def test_a_network_of_timm_gets_another_head_too() -> None:
    module = timm.create_model("resnet10t", pretrained=False, num_classes=7).eval()
    network = Network("timm:resnet10t", module)
    made, proof = replace_head(network, nn.Linear(512, 3))
    assert proof.places == (("fc", 0.0),) and output(made, pictures()[0]).shape == (2, 3)
    assert output(network, pictures()[0]).shape == (2, 7)


def test_a_head_that_does_not_fit_is_refused(vgg: Network) -> None:
    with pytest.raises(UsageError, match="the head does not take the activations of narrow"):
        replace_head(vgg, nn.Linear(13, 3))
    with pytest.raises(UsageError, match="has no head that is known"):
        replace_head(Network("tree", vgg.module), nn.Linear(12, 3))


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "file"), [("vgg19", "vgg19_to_conv3_4"), ("squeezenet1_0", "squeezenet1_0")])
def test_pretrained_networks_stay_themselves(shared: Path, name: str, file: str) -> None:
    network = load(name, weights=shared / f"weights/{file}.safetensors")
    photos = sorted((shared / "data/photos").iterdir())[:2]
    shown = [read(photo).pixels[..., :160, :160] for photo in photos]
    _, proof = insert_batch_norm(network, shown)
    assert proof.relative <= 1e-5
    assert split_at(network, network.content_taps[0], shown)[2].largest == 0
    if name == "squeezenet1_0":
        assert change_dropout(network, 0.0, "classic", shown)[1].relative < 1e-6
        with pytest.raises(UsageError, match=r"features\.3\.squeeze, which lies inside features\.3"):
            split_at(network, "features.3.squeeze")
