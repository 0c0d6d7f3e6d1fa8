"""Fooling: change a picture so little that a person sees nothing, until a network takes it for something else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.inspection.attribution.gradients import device_of, gradients
from impasto.inspection.attribution.options import FoolOptions
from impasto.inspection.attribution.preparation import Source, prepared
from impasto.inspection.attribution.sheet import Card, draw
from impasto.inspection.predictions import Prediction, prediction, scores, top_classes
from impasto.inspection.progress import Progress
from impasto.inspection.recipe import class_named, picture_input, recipe_of
from impasto.inspection.subject import subject
from impasto.inspection.units import find_class
from impasto.networks import Network
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Recipe

LOSSLESS = (".png", ".tif", ".tiff")
SHOWN = 10  # times the difference, on the sheet


@dataclass(frozen=True, eq=False)
class Fooling:
    """A picture that is taken for something else, or what was reached towards it.

    Attributes:
        network: Name of the network.
        preprocessing: What was done to the picture before, in words.
        original: (1, 3, h, w) in [0, 1], the picture as the network saw it.
        fooled: The picture that fools it, in 256 levels as a file holds it.
        before: What the original is taken for.
        after: What the other is taken for.
        target: The class it was to be taken for, as it is now.
        reached: Whether it is.
        steps: How many it took.
        recipe: How it was made.
    """

    network: str
    preprocessing: str
    original: Float[Tensor, "1 3 h w"]
    fooled: Float[Tensor, "1 3 h w"]
    before: tuple[Prediction, ...]
    after: tuple[Prediction, ...]
    target: Prediction
    reached: bool
    steps: int
    recipe: Recipe

    @property
    def difference(self) -> Float[Tensor, "1 3 h w"]:
        """What was added, to the original in 256 levels."""
        return self.fooled - quantised(self.original)

    def sizes(self) -> dict[str, float]:
        """How large the difference is: its L2 norm (pixels in [0, 1]), and its largest and mean in grey levels."""
        difference = self.difference.double()
        return {
            "l2": float(difference.norm()),
            "largest": float(255 * difference.abs().max()),
            "mean": float(255 * difference.abs().mean()),
        }

    def facts(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "network": self.network,
            "preprocessing": self.preprocessing,
            "before": [asdict(one) for one in self.before],
            "after": [asdict(one) for one in self.after],
            "target": asdict(self.target),
            "reached": self.reached,
            "steps": self.steps,
            "difference": {name: round(value, 4) for name, value in self.sizes().items()},
        }

    def sheet(self) -> Float[Tensor, "1 3 H W"]:
        """Before, the difference many times enlarged, after; with what each is taken for."""
        sizes = self.sizes()
        told = [
            f"{sizes['mean']:.2f} of 255 grey levels in the mean",
            f"{sizes['largest']:.0f} at most; L2 {sizes['l2']:.2f}",
            f"{self.steps} steps",
        ]
        shown = (0.5 + SHOWN * self.difference).clamp(0, 1)
        return draw(
            [
                Card(f"{self.network}: before", self.preprocessing, [self.original], [str(one) for one in self.before]),
                Card(f"difference × {SHOWN}", "around middle gray", [shown], told),
                Card("after", f"asked for: {self.target.name}", [self.fooled], [str(one) for one in self.after]),
            ],
            columns=3,
        )

    def save(self, path: Path | str, sheet: Path | str | None = None) -> Path:
        """Write the picture that fools, and perhaps the sheet, the recipe inside both.

        Raises:
            UsageError: A format that would lose what was added.
        """
        require_lossless(path)
        recipe = self.recipe.model_dump_json(exclude_defaults=True)
        write(path, replace(Picture(self.fooled), recipe=recipe))
        if sheet:
            write(sheet, replace(Picture(self.sheet()), recipe=recipe))
        return Path(path)


def fool(
    image: Source,
    target: str | int | None = None,
    *,
    network: Network | str | None = None,
    options: FoolOptions | None = None,
    progress: Progress | None = None,
    download: Download | None = None,
    **fields: Any,
) -> Fooling:
    """Change ``image`` until the network takes it for ``target``: x += rate·g/‖g‖.

    CS231n, assignment 3, after Szegedy et al., "Intriguing properties of neural networks" (2014). Departure from the
    course, whose g is the gradient of the target's score: here it is that of its log probability, which lowers the
    scores of others too and points somewhere where a closed ReLU shuts the target's off. Pixels stay in [0, 1]. It ends
    when the picture, rounded to the 256 levels of a file, is taken for the target: so the file that is written fools,
    and not only the picture in memory.

    >>> import impasto
    >>> impasto.fool("cat.jpg", "goldfish", network="squeezenet1_0").save("goldfish.png")  # doctest: +SKIP

    Args:
        image: The picture.
        target: Name or number of a class. Default: one that the picture is not taken for, by chance.
        network: A classifier, or its name.
        options: All options at once; ``fields`` go over it.
        progress: Called with (part done, a few words).
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`FoolOptions`.

    Raises:
        UsageError: An option out of bounds, a file that is no picture, an unknown network or class, a network that is
            no classifier, or one that has no other class; a target that the picture is taken for already.
        ImpastoError: The weights cannot be had.
    """
    named: dict[str, Any] = {"network": network} if isinstance(network, str) else {}
    named |= {} if target is None else {"target": target}
    chosen = merge(FoolOptions, options, named, fields)
    say = progress or (lambda done, words: None)
    victim = subject(
        network if isinstance(network, Network) else chosen.network, chosen.weights, chosen.device, download
    )
    wanted = None if chosen.target is None else find_class(victim, chosen.target)
    pixels, told = prepared(victim, image, chosen.size)
    pixels = pixels.to(device_of(victim))
    before = top_classes(victim, pixels, chosen.top)
    index = _another(victim, before[0].index, chosen.seed) if wanted is None else wanted
    if index == before[0].index:
        raise UsageError(f"the picture is taken for {before[0].name} already: choose another target")
    length = chosen.rate / 255 * pixels.numel() ** 0.5
    x, steps = pixels.clone(), 0
    while not (reached := _leads(victim, quantised(x), index, chosen.confidence)) and steps < chosen.steps:
        say(steps / chosen.steps, f"{victim.classes[index]}, step {steps}")
        g = gradients(victim, x, index, log_probability=True)
        x = (x + length * g / g.norm().clamp_min(1e-12)).clamp(0, 1)
        steps += 1
    fooled = quantised(x)
    say(1.0, "done")
    return Fooling(
        victim.name,
        told,
        pixels.cpu(),
        fooled.cpu(),
        before,
        top_classes(victim, fooled, chosen.top),
        prediction(victim, fooled, index),
        reached,
        steps,
        recipe_of("fool", victim, chosen, picture_input(image), target=class_named(victim, index)),
    )


def quantised(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The picture as eight bits hold it.

    >>> quantised(torch.tensor([0.0, 0.5])) * 255
    tensor([  0., 128.])
    """
    return (image * 255).round() / 255


def require_lossless(path: Path | str) -> None:
    """Check that the format of a path keeps every grey level.

    Raises:
        UsageError: It does not.
    """
    if Path(path).suffix.lower() not in LOSSLESS:
        raise UsageError(f"{path} would lose what fools the network: name a {' or '.join(LOSSLESS[:2])} file")


def _leads(network: Network, image: Tensor, index: int, confidence: float) -> bool:
    found = scores(network, image)[0].double()
    return int(found.argmax()) == index and float(found.softmax(0)[index]) >= confidence


def _another(network: Network, index: int, seed: int) -> int:
    """A class by chance that is not this one."""
    others = len(network.classes) - 1
    if others < 1:
        raise UsageError(f"{network.name} knows one class alone: there is no other to take the picture for")
    drawn = int(torch.randint(others, (), generator=torch.Generator().manual_seed(seed)))
    return drawn + (drawn >= index)
