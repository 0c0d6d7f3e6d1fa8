"""Does a strength mean the same with every loss? The part of the content that is lost, by loss and strength.

uv run python benchmarks/strength.py --shared ../shared
"""

import argparse
from pathlib import Path

import impasto
from impasto.losses.style import STYLE_LOSSES
from impasto.synthesis.objective import content_weight

PAIRS = (("tubingen", "starry_night_google"), ("golden_gate", "la_muse"))


def main() -> None:
    """Print a row per pair and strength, a column per loss."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    data = options.shared / "data"
    print("| pair | strength | " + " | ".join(STYLE_LOSSES) + " |\n" + "|---" * (2 + len(STYLE_LOSSES)) + "|")
    for content, painting in PAIRS:
        for strength in (0.3, 0.5, 0.7):
            lost = []
            for name, loss in STYLE_LOSSES.items():
                result = impasto.stylize(
                    data / "contents" / f"{content}.jpg", data / "paintings" / f"{painting}.jpg",
                    size=options.size, loss=name, strength=strength,
                )  # fmt: skip
                lost.append(result.losses["content"] / content_weight(strength) / loss.content_factor)
            print(f"| {content}, {painting} | {strength} | " + " | ".join(f"{v:.2f}" for v in lost) + " |", flush=True)


if __name__ == "__main__":
    main()
