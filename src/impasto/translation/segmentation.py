"""Segmentation: crops of pictures and masks, as the training loop wants them, and the colours that show labels."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.images import read
from impasto.translation.iou import confusion, scores_of
from impasto.translation.masks import IGNORED, Masked, read_labels
from impasto.translation.pictures import levels, on_white

Example = tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "h w"]]

LIGHTER = 0.55  # of the picture beside the colour that stands for a label


def read_examples(pairs: Masked, void: int | None) -> list[Example]:
    """Pictures and labels, void ones as 255.

    Raises:
        UsageError: One cannot be read, or a mask is of another size than its picture.
    """
    found = []
    for picture, mask in zip(pairs.pictures, pairs.masks, strict=True):
        pixels = levels(on_white(read(picture)))
        labels = read_labels(mask)
        if labels.shape != pixels.shape[1:]:
            sizes = [f"{shape[-1]}×{shape[-2]}" for shape in (labels.shape, pixels.shape)]
            raise UsageError(f"the mask {mask} is {sizes[0]} and its picture {sizes[1]}: make them agree")
        if void is not None:
            labels[labels == void] = IGNORED
        found.append((pixels, labels))
    return found


def pixels_of(examples: Sequence[Example]) -> Int[Tensor, 256]:
    """How many pixels have each label."""
    return sum((torch.bincount(labels.flatten(), minlength=256) for _, labels in examples), torch.zeros(256).long())


def class_weights(examples: Sequence[Example], classes: int, balance: float) -> Float[Tensor, " classes"]:
    """Weight of each class: its share of the pixels to the power −balance, a mean of 1 over the pixels."""
    counts = pixels_of(examples)[:classes]
    share = counts.double() / counts.sum().clamp_min(1)
    weights = torch.where(share > 0, share.clamp_min(1e-6) ** -balance, torch.zeros_like(share))
    return (weights / (weights * share).sum()).float()


@dataclass(frozen=True)
class SegmentationTask:
    """What a network learns of masks.

    Attributes:
        examples: To learn from.
        valid: To judge by, whole.
        weights: Of the classes.
        device: Where.
        size: Side of the crops.
        crops: Of each picture in an epoch.
        batch_size: Crops in a step.
        zooms: The scales that crops are taken at, from the least to the greatest.
        seed: Of all chance.
        first_epoch: Epochs that earlier stages have had.
    """

    examples: list[Example]
    valid: list[Example]
    weights: Float[Tensor, " classes"]
    device: torch.device
    size: int
    crops: int = 1
    batch_size: int = 8
    zooms: tuple[float, ...] = (1.0,)
    seed: int = 0
    first_epoch: int = 0

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return max(1, len(self.examples) * self.crops // self.batch_size)

    def batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures (B, 3, size, size) in [0, 1] and labels (B, size, size), from the ``start``-th batch on."""
        numbers = self.seed, self.first_epoch + epoch
        chance = np.random.default_rng(numbers)
        order = np.concatenate([chance.permutation(len(self.examples)) for _ in range(self.crops + 1)])
        while len(order) < self.batch_size:
            order = np.concatenate([order, order])
        for number in range(start, self.steps):
            rows = [
                self._crop(self.examples[order[place]], np.random.default_rng([*numbers, place]))
                for place in range(number * self.batch_size, (number + 1) * self.batch_size)
            ]
            pictures, labels = (torch.stack(part).to(self.device) for part in zip(*rows, strict=True))
            yield pictures.contiguous(memory_format=torch.channels_last), labels

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Cross-entropy over the pixels that are not void."""
        pictures, labels = batch
        return self._cross_entropy(model(pictures), labels)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """``loss``, ``miou`` and ``accuracy`` over the validation pictures."""
        if not self.valid:
            return {}
        losses, classes = [], len(self.weights)
        counts = torch.zeros(classes, classes, dtype=torch.int64)
        for pixels, labels in self.valid:
            said = model(pixels[None].to(self.device) / 255)
            losses.append(self._cross_entropy(said, labels[None].long().to(self.device)).item())
            counts += confusion(said.argmax(1)[0].cpu(), labels, classes)
        return {"loss": float(np.mean(losses))} | scores_of(counts)

    def _cross_entropy(self, said: Tensor, labels: Tensor) -> Tensor:
        weights = self.weights.to(self.device)
        losses = F.cross_entropy(said.float(), labels, weight=weights, ignore_index=IGNORED, reduction="sum")
        counted = labels[labels != IGNORED]
        return losses / weights[counted].sum().clamp_min(1)

    def _crop(self, example: Example, chance: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A square at a random place and scale, mirrored or not; beyond the picture's border labels are void."""
        pixels, labels = example[0][None].float() / 255, example[1][None, None].float()
        zoom = float(self.zooms[chance.integers(len(self.zooms))])
        if zoom != 1:
            size = [max(1, round(side * zoom)) for side in pixels.shape[-2:]]
            pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True)
            labels = F.interpolate(labels, size, mode="nearest-exact")  # centred as the pixels are
        more = [max(0, self.size - side) for side in pixels.shape[-2:]]
        pixels = F.pad(pixels, (0, more[1], 0, more[0]), mode="replicate")
        labels = F.pad(labels, (0, more[1], 0, more[0]), value=float(IGNORED))
        top, left = (int(chance.integers(side - self.size + 1)) for side in pixels.shape[-2:])
        rows, columns = slice(top, top + self.size), slice(left, left + self.size)
        pixels, labels = pixels[0, :, rows, columns], labels[0, 0, rows, columns].long()
        return (pixels.flip(-1), labels.flip(-1)) if chance.integers(2) else (pixels, labels)


@torch.no_grad()
def counted(model: nn.Module, examples: list[Example], classes: int, device: torch.device) -> Tensor:
    """The confusion over pictures, each seen whole."""
    counts = torch.zeros(classes, classes, dtype=torch.int64)
    for pixels, labels in examples:
        predicted = model(pixels[None].to(device) / 255).argmax(1)[0].cpu()
        counts += confusion(predicted, labels, classes)
    return counts


def palette(classes: int) -> Float[Tensor, "classes 3"]:
    """A colour for each class, far from those of its neighbours: hues by the golden ratio, two brightnesses."""
    colours = [colorsys.hsv_to_rgb(k * 0.618034 % 1, 0.75, 0.95 if k % 2 else 0.7) for k in range(classes)]
    return torch.tensor(colours, dtype=torch.float32).view(-1, 3)


def coloured(pixels: Float[Tensor, "1 3 h w"], labels: UInt8[Tensor, "h w"], classes: int) -> Float[Tensor, "1 3 h w"]:
    """A picture, each pixel tinted by its label; void ones are dark."""
    colours = torch.cat([palette(classes), torch.zeros(256 - classes, 3)])
    tint = colours[labels.long()].permute(2, 0, 1)[None]
    gray = pixels.mean(1, keepdim=True)
    return ((1 - LIGHTER) * gray + LIGHTER * tint).clamp(0, 1)
