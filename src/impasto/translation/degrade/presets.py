"""Presets: recipes of the field by name."""

from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    """A recipe by name.

    Attributes:
        about: A sentence.
        text: The steps; ``{n}`` in them is what is written after the name, as ``bicubic:4``.
        n: Where nothing is written; 0 if something must be.
        reduces: Whether n is the recipe's scale, not a factor within it.
    """

    about: str
    text: str
    n: int | None = None
    reduces: bool = False


def _kernels(widest: str) -> str:
    """Real-ESRGAN's blurs (options/train_realesrgan_x4plus.yml and realesrgan/data/realesrgan_dataset.py): sides of 7
    to 21, a tenth of them sinc, with higher cutoffs in small kernels.
    """
    blur, turned = f"blur:{widest},radius=3-10", f",across={widest},angle=-180-180"
    generalised, plateau = ",profile=generalised,beta=0.5-4", ",profile=plateau,beta=1-2"
    blurs = (
        (0.45, ""),
        (0.25, turned),
        (0.12, generalised),
        (0.03, turned + generalised),
        (0.12, plateau),
        (0.03, turned + plateau),
    )
    mixed = " | ".join(f"{weight} {blur}{more}" for weight, more in blurs)
    sinc = "one-of(3 sinc:0.3333333333-1,radius=3-5 | 5 sinc:0.2-1,radius=6-10)"
    return f"one-of(0.9 one-of({mixed}) | 0.1 {sinc})"


# Wang, Xie, Dong and Shan, "Real-ESRGAN" (2021), section 3 and appendix A, with the constants of its options file.
# Departures: sizes, kinds and resampling are drawn for each picture, not for each batch; JPEG is libjpeg's own, with
# whole qualities; bicubic has a = −1/2.
_REAL_ESRGAN = " ".join(
    (
        _kernels("0.2-3"),
        "one-of(2 resize:1-1.5,antialias=0 | 7 resize:0.15-1,antialias=0)@0.9",
        "one-of(noise:1-30,gray=0.4 | poisson:0.05-3,gray=0.4)",
        "jpeg:30-95",
        _kernels("0.2-1.5") + "@0.8",
        "one-of(3 resize:1-1.2,of={n},antialias=0 | 4 resize:0.3-1,of={n},antialias=0 | 3 resize:1,of={n},antialias=0)",
        "one-of(noise:1-25,gray=0.4 | poisson:0.05-2.5,gray=0.4)",
        "shuffle(fit:{n},kernel=area/bilinear/bicubic,antialias=0 sinc:0.3333333333-1@0.8 | jpeg:30-95)",
        "round",
    )
)

# fastai's course v3, lesson 7: lesson7-superres.ipynb and lesson7-superres-gan.ipynb make the shorter side 96 pixels.
# Pets' are about 375, and patches have no such side, so this is a factor. The original is `min-side:96` in its place.
_CRAPPIFY = "down:{n},kernel=bilinear jpeg:60 enlarge:bilinear"
_CRAPPIFY_GAN = "down:{n},kernel=bilinear jpeg:10-70,print=1 enlarge:bilinear"

PRESETS: dict[str, Preset] = {
    "bicubic": Preset(
        "MATLAB's bicubic reduction, what the tables of super-resolution are made with",
        "down:{n} round",
        0,
        reduces=True,
    ),
    "crappify": Preset("fastai's lesson 7: small, JPEG at 60, enlarged again", _CRAPPIFY, 4),
    "crappify-gan": Preset("the same at any quality, which is printed on the picture", _CRAPPIFY_GAN, 4),
    "jpeg": Preset("JPEG at any quality", "jpeg:10-95"),
    "denoise": Preset("Gaussian noise of any strength up to 50 gray levels", "noise:0-50 round"),
    "jpeg-denoise": Preset(
        "noise, JPEG, or both: what pictures from the web have",
        "noise:0-25,gray=0.3@0.6 jpeg:10-95,chroma=420/444@0.9 round",
    ),
    "colorize": Preset("gray", "gray round"),
    "text": Preset("lines of text in any colour", "text"),
    "watermark": Preset("half transparent words or signs, one or many", "watermark"),
    "real-esrgan": Preset(
        "Real-ESRGAN's second-order chain: blurred, resized, noisy and JPEG, all twice", _REAL_ESRGAN, 4, reduces=True
    ),
}
