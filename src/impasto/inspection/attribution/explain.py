"""Explaining: which pixels a class score comes from, by several methods, each with figures that test it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, write
from impasto.images.inline import inline_png
from impasto.inspection.attribution.attribution import Attribution
from impasto.inspection.attribution.colours import heat_map, overlay
from impasto.inspection.attribution.faithfulness import Faithfulness, faithfulness, random_order
from impasto.inspection.attribution.grad_cam import default_tap
from impasto.inspection.attribution.gradients import device_of
from impasto.inspection.attribution.methods import METHODS, attribute
from impasto.inspection.attribution.options import ExplainOptions, MethodName
from impasto.inspection.attribution.preparation import Source, prepared
from impasto.inspection.attribution.sanity import Randomisation, randomisation
from impasto.inspection.attribution.sheet import Card, draw
from impasto.inspection.predictions import Prediction, prediction, top_classes
from impasto.inspection.progress import Progress
from impasto.inspection.recipe import class_named, picture_input, recipe_of
from impasto.inspection.subject import subject
from impasto.inspection.units import find_class
from impasto.networks import Network
from impasto.networks.gates import Gates
from impasto.networks.weights import Download
from impasto.runs.options_file import merge
from impasto.runs.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Explained:
    """One method's map, and what tests say of it.

    Attributes:
        attribution: The map.
        randomisation: Whether it depends on the network's weights; None where it was not tested.
        faithfulness: Whether the network minds the loss of what the map calls important; None likewise.
    """

    attribution: Attribution
    randomisation: Randomisation | None
    faithfulness: Faithfulness | None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = dict(self.attribution.facts) | {"empty": self.attribution.empty}
        if self.randomisation:
            found["randomisation"] = self.randomisation.facts()
        if self.faithfulness:
            found["faithfulness"] = self.faithfulness.facts()
        return found


@dataclass(frozen=True, eq=False)
class Explanation:
    """Which pixels a score comes from.

    Attributes:
        network: Name of the network.
        image: (1, 3, h, w) in [0, 1], the picture as the network saw it, on the CPU.
        preprocessing: What was done to it, in words.
        predictions: The most probable classes.
        explained: The class whose score is explained.
        methods: What each method found, by name.
        chance: The figures of a random order of the pixels; None where maps were not tested.
        recipe: How the maps were made.
    """

    network: str
    image: Float[Tensor, "1 3 h w"]
    preprocessing: str
    predictions: tuple[Prediction, ...]
    explained: Prediction
    methods: dict[str, Explained]
    chance: Faithfulness | None
    recipe: Recipe

    def sheet(self) -> Float[Tensor, "1 3 H W"]:
        """Picture, predictions, and every map alone and over the picture, its figures beneath."""
        title = f"{self.network}: {self.explained}"
        lines = [f"{one}" for one in self.predictions]
        first = Card(title, self.preprocessing, [self.image], lines)
        return draw([first, *(self._card(name, one) for name, one in self.methods.items())])

    def save(self, path: Path | str) -> Path:
        """Write the sheet, its recipe inside, in the format of the path's suffix."""
        write(path, replace(Picture(self.sheet()), recipe=self.recipe.model_dump_json(exclude_defaults=True)))
        return Path(path)

    def facts(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "network": self.network,
            "preprocessing": self.preprocessing,
            "predictions": [asdict(one) for one in self.predictions],
            "class": asdict(self.explained),
            "methods": {name: one.facts() for name, one in self.methods.items()},
            "random_order": self.chance.facts() if self.chance else None,
        }

    def _card(self, name: str, one: Explained) -> Card:
        shown = one.attribution
        about = METHODS[name].about if name in METHODS else ""  # type: ignore[index]
        about += f" ({shown.facts['tap']}, {shown.facts['positions']})" if "tap" in shown.facts else ""
        lines = ["nothing: the map is all zero"] if shown.empty else []
        if one.randomisation:
            lines.append(one.randomisation.verdict)
            if one.randomisation.rank_correlation is not None:
                ssim = one.randomisation.ssim
                lines[-1] += f" (ρ {one.randomisation.rank_correlation:.2f}" + (
                    f", SSIM {ssim:.2f})" if ssim is not None else ")"
                )
        if one.faithfulness and self.chance and not shown.empty:
            a, b = one.faithfulness, self.chance
            lines.append(f"deletion {a.deletion:.2f} (chance {b.deletion:.2f}), lower is better")
            lines.append(
                f"insertion {a.insertion:.2f} (chance {b.insertion:.2f}), ROAD {a.road:.2f} ({b.road:.2f}), higher"
            )
        return Card(name, about, [heat_map(shown), overlay(shown, self.image)], lines)

    def _repr_png_(self) -> bytes:
        """The sheet inline in a notebook."""
        return inline_png(self.save)


def explain(
    image: Source,
    *,
    network: Network | str | None = None,
    options: ExplainOptions | None = None,
    progress: Progress | None = None,
    download: Download | None = None,
    **fields: Any,
) -> Explanation:
    """Find which pixels of ``image`` the score of a class comes from, by several methods, and test each.

    >>> import impasto
    >>> impasto.explain("photo.jpg", network="squeezenet1_0").save("explained.png")  # doctest: +SKIP

    Args:
        image: The picture.
        network: A classifier, or its name.
        options: All options at once; ``fields`` go over it.
        progress: Called with (part done, a few words).
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`ExplainOptions`; the class is ``class_``.

    Raises:
        UsageError: An option out of bounds, a file that is no picture, an unknown network, class or tap, a network
            that is no classifier, a method that does not suit it.
        ImpastoError: The weights cannot be had, or give numbers that are none.
    """
    named = {"network": network} if isinstance(network, str) else {}
    chosen = merge(ExplainOptions, options, named, fields)
    say = progress or (lambda done, words: None)
    subject_ = subject(
        network if isinstance(network, Network) else chosen.network, chosen.weights, chosen.device, download
    )
    index = find_class(subject_, chosen.class_) if chosen.class_ is not None else None
    pixels, told = prepared(subject_, image, chosen.size)
    pixels = pixels.to(device_of(subject_))
    predictions = top_classes(subject_, pixels, chosen.top)
    index = predictions[0].index if index is None else index
    if not all(one.score == one.score for one in predictions):
        raise ImpastoError(f"{subject_.name} gives scores that are no numbers: its weights are damaged")
    names = chosen.method or _suitable(subject_, pixels)
    if "grad-cam" in names and chosen.tap is None:  # the same layer in a network of random weights
        chosen = chosen.model_copy(update={"tap": default_tap(subject_, pixels, index)})
    parts = len(names) + chosen.sanity
    chance = None
    if chosen.sanity:
        say(0.0, "random order")
        chance = random_order(subject_, pixels, index, seed=chosen.seed)
    found: dict[str, Explained] = {}
    for number, name in enumerate(names):
        say((number + chosen.sanity) / parts, name)
        found[name] = _explained(subject_, pixels, index, name, chosen)
    say(1.0, "done")
    explained = prediction(subject_, pixels, index)
    recipe = recipe_of(
        "explain", subject_, chosen, picture_input(image), method=list(names), class_=class_named(subject_, index)
    )
    return Explanation(subject_.name, pixels.cpu(), told, predictions, explained, found, chance, recipe)


def _explained(network: Network, image: Tensor, index: int, name: MethodName, options: ExplainOptions) -> Explained:
    map = attribute(network, image, index, name, options)
    if not options.sanity:
        return Explained(map, None, None)
    return Explained(
        map,
        randomisation(
            network,
            image,
            lambda other: attribute(other, image, index, name, options),
            map,
            options.randomise,
            seed=options.seed,
        ),
        faithfulness(network, image, index, map.map, seed=options.seed),
    )


def _suitable(network: Network, image: Tensor) -> tuple[MethodName, ...]:
    """The methods that are made when none is named: those that suit the network."""
    with Gates("open") as gates:
        top_classes(network, image)
    try:
        default_tap(network, image, 0)
        maps = True
    except UsageError:
        maps = False
    return tuple(
        name
        for name, method in METHODS.items()
        if method.default and (gates.met or not method.needs_relu) and (maps or name != "grad-cam")
    )
