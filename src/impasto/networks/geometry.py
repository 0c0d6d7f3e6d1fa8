"""Geometry: the stride and the receptive field of a tap, measured by what one spoiled pixel spoils."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from impasto.networks.hooks import at_rest

if TYPE_CHECKING:
    from impasto.networks.taps import Taps


@dataclass(frozen=True)
class TapGeometry:
    """Where a tap looks. Position o of the tap sees the input pixels o·stride − before … o·stride + after.

    Attributes:
        stride: Input pixels from one position of the tap to the next.
        before: Pixels seen to the left of (or above) o·stride; negative when the field starts to its right.
        after: Pixels seen to the right of (or below) o·stride.
        everywhere: The tap sees the whole picture (attention, squeeze-and-excitation); the other figures are 0.
    """

    stride: int
    before: int
    after: int
    everywhere: bool = False

    @property
    def receptive_field(self) -> int | None:
        """Width of the field in input pixels; None when it is the whole picture."""
        return None if self.everywhere else self.before + self.after + 1


def measure(taps: "Taps", largest: int = 2048) -> dict[str, TapGeometry]:
    """Geometry of each tap of ``taps``, from the network's behaviour and not from a table.

    A not-a-number put into the picture goes through convolutions, poolings, ReLUs and normalisations to exactly the
    positions that see it. With all columns left of p spoiled, the first clean position o of a tap has its field
    start at or right of p; the p at which o steps on tells ``before``; spoiling the right gives ``after``.
    """
    found: dict[str, TapGeometry] = {}
    width = 128
    with at_rest(taps.network.module):
        while len(found) < len(taps.names) and width <= largest:
            for name, geometry in _measure_at(taps, width).items():
                if name not in found and (geometry is not None or width == largest):
                    found[name] = geometry or TapGeometry(0, 0, 0, everywhere=True)
            width *= 2
    return {name: found[name] for name in taps.names}


@torch.no_grad()
def _measure_at(taps: "Taps", width: int) -> dict[str, TapGeometry | None]:
    """Geometry by tap, on a strip ``width`` wide; None where no position was left clean or none spoiled."""
    parameter = next(taps.network.module.parameters())

    def strip(columns: int) -> torch.Tensor:
        # low, since whole columns are spoiled; high enough for deep taps
        return torch.full((1, 3, 128, columns), 0.5, device=parameter.device, dtype=parameter.dtype)

    def clean(spoil: slice) -> dict[str, torch.Tensor]:
        spoiled = strip(width)
        spoiled[..., spoil] = float("nan")
        return {
            n: (~f.isnan()).all(dim=1).all(dim=1)[0].nonzero().flatten()
            for n, f in taps(spoiled).items()
            if f.ndim == 4
        }

    middle = width // 2
    left, right = [clean(slice(0, middle))], [clean(slice(middle, width))]
    geometry: dict[str, TapGeometry | None] = dict.fromkeys(taps.names)
    local = [name for name, positions in left[0].items() if len(positions) and len(right[0][name])]
    if not local:
        return geometry
    # a border costs positions, and poolings round: only the difference of two widths tells the stride
    narrow, wide = ({n: f.shape[-1] for n, f in taps(strip(columns)).items()} for columns in (width, 2 * width))
    strides = {name: round(width / (wide[name] - narrow[name])) for name in local}
    for k in range(1, max(strides.values())):
        left.append(clean(slice(0, middle + k)))
        right.append(clean(slice(middle + k, width)))
    for name, stride in strides.items():
        if any(len(side[k][name]) == 0 for side in (left, right) for k in range(stride)):
            continue
        # the largest p whose first clean position is still o starts o's field; the smallest whose last is, ends it
        before = min(int(left[k][name][0]) * stride - (middle + k) for k in range(stride))
        after = min((middle + k - 1) - int(right[k][name][-1]) * stride for k in range(stride))
        geometry[name] = TapGeometry(stride, before, after)
    return geometry
