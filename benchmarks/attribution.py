"""Attributions: agreement with captum where it is right, and what becomes of ReLUs in place or functional; sanity figures.

uv run python benchmarks/attribution.py --shared ../shared [--sweep 10]
"""

import argparse
import os
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from captum import attr
from torch import Tensor, nn

from impasto import networks
from impasto.inspection.attribution.attribution import Attribution
from impasto.inspection.attribution.explain import explain
from impasto.inspection.attribution.grad_cam import grad_cam
from impasto.inspection.attribution.guided import deconvnet, guided_backprop
from impasto.inspection.attribution.integrated_gradients import integrated_gradients
from impasto.inspection.attribution.methods import METHODS
from impasto.inspection.attribution.occlusion import occlusion
from impasto.inspection.attribution.preparation import prepared
from impasto.inspection.attribution.saliency import gradient, saliency
from impasto.inspection.attribution.smoothgrad import smoothgrad
from impasto.inspection.predictions import top_classes
from impasto.networks import Network
from impasto.networks.surgery.proof import copied

warnings.filterwarnings("ignore")


class Normalised(nn.Module):
    """A network with its normalisation, for pictures in [0, 1]: what captum is given."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.module, self.normalise = network.module, network.normalise

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.module(self.normalise(x))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("IMPASTO_DATA", "../shared")))
    parser.add_argument("--sweep", type=int, default=0, help="pictures over which the sanity figures are averaged")
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    files = sorted((options.shared / "data/imagenet-1k-samples").iterdir())
    squeezenet = networks.load("squeezenet1_0", weights=options.shared / "weights/squeezenet1_0.safetensors")
    resnet = random_weights("resnet18")
    for layer in resnet.module.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    vit = random_weights("vit_tiny_patch16_224", dynamic_img_size=True)
    print("Largest difference from captum, relative to the largest value.\n")
    print(
        "| method | "
        + " | ".join(f"{n.name}, {d}" for n in (squeezenet, resnet, vit) for d in ("float32", "float64"))
        + " |"
    )
    print("|---|" + "---|" * 6)
    columns = [agreement(network, files[281], options.size) for network in (squeezenet, resnet, vit)]
    for method in columns[0]:
        cells = [column.get(method, ("not compared",) * 2) for column in columns]
        print(f"| {method} | " + " | ".join(value for pair in cells for value in pair) + " |", flush=True)
    relus()
    if options.sweep:
        sweep(squeezenet, [files[k * len(files) // options.sweep] for k in range(options.sweep)], options.size)


def random_weights(name: str, **how: object) -> Network:
    """A network of timm with random weights of a seed; captum and we explain the same ones."""
    torch.manual_seed(0)
    module = timm.create_model(name, **how).eval().requires_grad_(False)
    if hasattr(module, "cls_token"):  # begins so small that float32 rounds much away, which no trained one is
        nn.init.normal_(module.cls_token, std=0.5)
        nn.init.normal_(module.head.weight, std=0.5)
    return Network(f"{name} (random)", module, classes=tuple(f"class {k}" for k in range(1000)))


def agreement(network: Network, file: Path, size: int) -> dict[str, tuple[str, str]]:
    """By method, the difference in both precisions."""
    single, _ = prepared(network, file, size)
    index = top_classes(network, single, 1)[0].index
    found: dict[str, list[str]] = {}
    for net, picture in ((network, single), (copied(network).to("cpu", torch.float64), single.double())):
        for method, (ours, theirs) in pairs(net, picture, index).items():
            mine, other = ours().values, theirs()[0].detach()
            found.setdefault(method, []).append(difference(mine, other))
    return {method: (pair[0], pair[1]) for method, pair in found.items()}


def pairs(net: Network, x: Tensor, k: int) -> dict[str, tuple[Callable[[], Attribution], Callable[[], Tensor]]]:
    """Ours and captum's, by method."""
    model = Normalised(net)
    vit = hasattr(net.module, "patch_embed")
    layer = "features.12" if hasattr(net.module, "features") else "layer3"
    sigma = 0.1 * float(x.max() - x.min())

    def tunnel() -> Tensor:
        torch.manual_seed(0)
        if x.dtype == torch.float64:  # captum draws in double: other numbers; give it ours
            noise = torch.Generator().manual_seed(0)
            drawn = [torch.randn(x.shape, generator=noise) for _ in range(4)]
            return torch.stack([attr.Saliency(model).attribute(x + sigma * d, k, abs=False) for d in drawn]).mean(0)
        return attr.NoiseTunnel(attr.Saliency(model)).attribute(
            x, nt_samples=4, nt_samples_batch_size=1, stdevs=sigma, target=k, abs=False
        )

    def cam() -> Tensor:
        map = attr.LayerGradCam(model, net.module.get_submodule(layer)).attribute(x, k, relu_attributions=True)
        return attr.LayerAttribution.interpolate(map, tuple(x.shape[-2:]), "bilinear")

    found = {
        "saliency": (lambda: gradient_abs(net, x, k), lambda: attr.Saliency(model).attribute(x, k)),
        "gradient": (lambda: gradient(net, x, k), lambda: attr.Saliency(model).attribute(x, k, abs=False)),
        "integrated-gradients": (
            lambda: integrated_gradients(net, x, k, steps=20),
            lambda: attr.IntegratedGradients(model).attribute(x, 0 * x, k, n_steps=20, internal_batch_size=4),
        ),
        "smoothgrad": (lambda: smoothgrad(net, x, k, samples=4, noise=0.1), tunnel),
        "occlusion": (
            lambda: occlusion(net, x, k, window=60, stride=40),
            lambda: attr.Occlusion(model).attribute(x, (3, 60, 60), (3, 40, 40), baselines=0.5, target=k)[:, :1],
        ),
    }
    if not vit:
        found["guided"] = lambda: guided_backprop(net, x, k), lambda: attr.GuidedBackprop(model).attribute(x, k)
        found["deconvnet"] = lambda: deconvnet(net, x, k), lambda: attr.Deconvolution(model).attribute(x, k)
        found["grad-cam"] = lambda: grad_cam(net, x, k, tap=layer), cam
    return found


def gradient_abs(net: Network, x: Tensor, k: int) -> Attribution:
    """Saliency's values without their signs, as captum gives them."""
    found = saliency(net, x, k)
    return Attribution(found.method, found.values.abs(), found.map, signed=False)


class Small(nn.Module):
    """A small residual network whose ReLUs are modules (one for each use, or one for all), functions, or in place."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 16, 3, padding=1, stride=2), nn.Conv2d(16, 16, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(16), nn.Linear(16, 10)
        self.relu, self.last = nn.ReLU(way == "in place"), nn.ReLU(way == "in place")
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        first, last = (F.relu, F.relu) if self.way == "functional" else (self.relu, self.last)
        last = first if self.way == "one for all" else last
        x = first(self.one(x))
        return self.head(last(self.norm(self.two(x)) + x).mean((2, 3)))


def relus() -> None:
    """The same weights with ReLUs written in four ways, against the plainest."""
    torch.manual_seed(0)
    x, state = torch.rand(1, 3, 64, 64), Small("module").state_dict()
    print("\nLargest difference, relative, from the same network with ReLU modules not in place (captum's there).\n")
    print("| method | ReLUs | captum | ours |")
    print("|---|---|---|---|")
    for method, layer in (("guided", ""), ("deconvnet", ""), ("grad-cam", "norm"), ("grad-cam", "one")):
        references: list[Tensor] = []
        for way in ("module", "one for all", "functional", "in place"):
            module = Small(way).eval().requires_grad_(False)
            module.load_state_dict(state)
            net = Network(way, module, classes=tuple("abcdefghij"))
            model = Normalised(net)
            try:
                if method == "grad-cam":
                    theirs = attr.LayerGradCam(model, module.get_submodule(layer)).attribute(
                        x, 1, relu_attributions=True
                    )
                    theirs = attr.LayerAttribution.interpolate(theirs, (64, 64), "bilinear")
                else:
                    theirs = (attr.GuidedBackprop if method == "guided" else attr.Deconvolution)(model).attribute(x, 1)
                references.append(theirs[0].detach())
                says = difference(references[-1], references[0])
            except Exception as error:
                says = f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
            craft = {"guided": guided_backprop, "deconvnet": deconvnet}.get(method)
            ours = craft(net, x, 1) if craft else grad_cam(net, x, 1, tap=layer)
            print(f"| {method} {layer} | {way} | {says} | {difference(ours.values, references[0])} |", flush=True)


def difference(one: Tensor, reference: Tensor) -> str:
    """The largest, relative to the reference's largest value."""
    if not reference.any():
        return "both zero" if not one.any() else "captum zero"
    return f"{float((one - reference).abs().max() / reference.abs().max()):.1e}"


def sweep(network: Network, files: list[Path], size: int) -> None:
    """The figures of all methods, averaged over pictures."""
    rows: dict[str, list[list[float]]] = {}
    for file in files:
        found = explain(file, network=network, method=tuple(METHODS), size=size)
        assert found.chance
        rows.setdefault("a random order", []).append([*found.chance.facts().values(), float("nan"), float("nan")])
        for name, one in found.methods.items():
            assert one.faithfulness and one.randomisation
            like = one.randomisation.rank_correlation, one.randomisation.ssim
            rows.setdefault(name, []).append(
                [*one.faithfulness.facts().values(), *(float("nan") if v is None else v for v in like)]
            )
    print(f"\nSanity figures on {network.name}, medians over {len(files)} pictures of ImageNet, size {size}.\n")
    print("| method | deletion ↓ | insertion ↑ | ROAD ↑ | rank correlation on random weights | SSIM | without a map |")
    print("|---|---|---|---|---|---|---|")
    for name, figures in rows.items():
        columns = [[v for v in column if v == v] for column in zip(*figures)]
        cells = [f"{statistics.median(column):.2f}" if column else "" for column in columns]
        print(f"| {name} | {' | '.join(cells)} | {len(figures) - len(columns[3]) if columns[3] else ''} |", flush=True)


if __name__ == "__main__":
    main()
