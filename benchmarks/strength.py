"""Does a strength mean the same with every loss? The part of the content that is lost, by loss and strength.

uv run python benchmarks/strength.py --shared ../shared
"""

import argparse
from pathlib import Path

import impasto
from impasto.losses.style import STYLE_LOSSES
from impasto.synthesis.calibration import content_weight

PAIRS = (("tubingen", "starry_night_google"), ("golden_gate", "la_muse"))


def main() -> None:
    """Print a row per pair and strength, a column per loss."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--losses", nargs="+", default=list(STYLE_LOSSES))
    options = parser.parse_args()
    data = options.shared / "data"
    print(
        "| pair | strength | " + " | ".join(options.losses) + " |\n" + "|---" * (2 + len(options.losses)) + "|",
        flush=True,
    )
    for content, painting in PAIRS:
        for strength in (0.3, 0.5, 0.7):
            lost = []
            for name in options.losses:
                result = impasto.stylize(
                    data / "contents" / f"{content}.jpg", data / "paintings" / f"{painting}.jpg",
                    size=options.size, loss=name, strength=strength,
                )  # fmt: skip
                lost.append(result.losses["content"] / content_weight(strength) / STYLE_LOSSES[name].content_factor)
            print(f"| {content}, {painting} | {strength} | " + " | ".join(f"{v:.2f}" for v in lost) + " |", flush=True)


if __name__ == "__main__":
    main()
