"""Benchmark: the published rows from a folder, models judged as their task is, and what does not go together."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.resample import imresize, round_to_8_bits
from impasto.translation.benchmark import Benchmark, benchmark
from impasto.translation.choice import Chosen
from impasto.translation.degrade import parse
from impasto.translation.enhance import enhance
from impasto.translation.metrics import psnr
from impasto.translation.model import TranslationModel


class Enlarge(nn.Module):
    """MATLAB's bicubic as a network, perhaps made darker."""

    def __init__(self, scale: int, factor: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, image: Tensor) -> Tensor:
        return self.factor * imresize(image, scale=self.scale)


def picture(side: tuple[int, int], seed: int) -> Tensor:
    """Smooth colours of 8 bits."""
    grid = torch.rand(1, 3, 6, 6, generator=torch.manual_seed(seed))
    return round_to_8_bits(F.interpolate(grid, size=side, mode="bicubic", antialias=False))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, side in enumerate([(41, 50), (36, 33)]):
        write(tmp_path / f"{number}.png", Picture(picture(side, number)))
    return tmp_path


def model(module: nn.Module, **facts: object) -> TranslationModel:
    return TranslationModel(**{"name": "mine", "module": module, "task": "restore", **facts})  # type: ignore[arg-type]


def test_a_model_that_is_bicubic_does_as_bicubic(folder: Path) -> None:
    own = benchmark(model(Enlarge(2), task="superres", scale=2), folder, device="cpu")
    bicubic = benchmark("bicubic", folder, scale=2, device="cpu")
    for row, plain in zip(own.rows, bicubic.rows, strict=True):
        assert row.scores == pytest.approx(row.baseline, abs=1e-3) and row.baseline == pytest.approx(plain.scores)
        assert plain.baseline == {}
    assert own.baseline == bicubic.baseline == "bicubic" and "2 times" in own.protocol
    worse = benchmark(model(Enlarge(2, 0.9), task="superres", scale=2), folder, device="cpu")
    assert worse.mean.scores["psnr"] < own.mean.scores["psnr"] and worse.mean.baseline == own.mean.baseline


def test_the_mean_is_of_the_pictures_scores(folder: Path) -> None:
    found = benchmark("bicubic", folder, scale=3, device="cpu")
    assert [row.picture for row in found.rows] == ["0.png", "1.png"]
    for name in ("psnr", "ssim", "psnr_unrounded"):
        assert found.mean.scores[name] == pytest.approx(sum(row.scores[name] for row in found.rows) / 2)
    target = picture((41, 50), 0)[..., :39, :48]
    output = imresize(round_to_8_bits(imresize(target, scale=1 / 3)), scale=3)
    assert found.rows[0].scores["psnr"] == pytest.approx(psnr(output, target, border=3).item())


def test_of_pairs_the_good_pictures_of_the_scale_are_taken(tmp_path: Path) -> None:
    for name in ("x2/a_SRF_2_HR.png", "x2/a_SRF_2_LR.png", "x4/a_SRF_4_HR.png", "x4/a_SRF_4_LR.png", "other.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, Picture(picture((32, 32), 0)))

    def taken(scale: int) -> list[str]:
        return [row.picture for row in benchmark("bicubic", tmp_path, scale=scale, device="cpu").rows]

    assert taken(4) == ["other.png", "x4/a_SRF_4_HR.png"]
    assert taken(2) == taken(3) == ["other.png", "x2/a_SRF_2_HR.png"]
    (tmp_path / "x2/a_SRF_2_HR.png").unlink()
    with pytest.raises(UsageError, match="low-resolution pictures only"):
        benchmark("bicubic", tmp_path / "x2", scale=2)


def test_jpeg_is_judged_in_colour_and_in_gray(folder: Path) -> None:
    identity = model(nn.Identity())
    colour = benchmark("jpeg", folder, quality=10, device="cpu")
    gray = benchmark("jpeg", folder, quality=10, gray=True, device="cpu")
    assert colour.mean.scores["psnr"] < gray.mean.scores["psnr"] and "gray" in gray.protocol
    assert set(gray.mean.scores) == {"psnr", "ssim", "psnr_b"}
    for is_gray, plain in ((False, colour), (True, gray)):
        row = benchmark(identity, folder, quality=10, gray=is_gray, device="cpu").mean
        assert row.scores == row.baseline == pytest.approx(plain.mean.scores)
    assert benchmark("jpeg", folder, quality=80, device="cpu").mean.scores["psnr"] > colour.mean.scores["psnr"]


def test_a_model_is_judged_by_what_it_was_trained_to_undo(folder: Path) -> None:
    recipe = parse("noise:25 round")
    denoiser = model(nn.AvgPool2d(3, 1, 1), recipe=recipe.to_json())
    found = benchmark(denoiser, folder, device="cpu")
    assert found.baseline == "nothing" and "noise:25" in found.protocol
    assert found.mean.baseline["psnr"] == pytest.approx(20.3, abs=1)  # 20·log₁₀(255 / 25)
    plain = benchmark("nothing", folder, recipe=recipe, device="cpu")
    assert plain.mean.scores == found.mean.baseline
    assert benchmark("nothing", folder, recipe=recipe, seed=1, device="cpu").mean.scores != plain.mean.scores
    lighter = benchmark(denoiser, folder, recipe="noise:5", device="cpu")
    assert lighter.mean.baseline["psnr"] > found.mean.baseline["psnr"] + 10


def test_colours_are_judged_by_chroma(folder: Path) -> None:
    colorizer = model(nn.Identity(), task="colorize", recipe=parse("colorize").to_json())
    found = benchmark(colorizer, folder, device="cpu").mean
    assert found.scores["colourfulness"] < 1 < found.scores["colourfulness_true"]
    assert found.baseline["psnr_chroma"] == found.scores["psnr_chroma"] < 40
    assert "psnr" not in found.scores and "colourfulness_true" not in found.baseline


def test_further_measures_go_along(folder: Path) -> None:
    def worst(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).abs().amax((1, 2, 3))

    row = benchmark(model(Enlarge(2), task="superres", scale=2), folder, extra={"worst": worst}, device="cpu").rows[0]
    assert 0 < row.scores["worst"] == pytest.approx(row.baseline["worst"], abs=1e-5)


def test_a_perfect_score_is_null_in_json(tmp_path: Path) -> None:
    write(tmp_path / "flat.png", Picture(torch.full((1, 3, 16, 16), 0.2)))
    found = benchmark("bicubic", tmp_path, scale=2, device="cpu")
    assert found.mean.scores["psnr"] == math.inf
    facts = found.to_json()
    assert facts["mean"]["scores"]["psnr"] is None and facts["pictures"][0]["scores"]["ssim"] == pytest.approx(1)


class Sometimes(nn.Module):
    """Leaves bright pictures as they are, and makes others wrong by a hundredth."""

    def forward(self, image: Tensor) -> Tensor:
        return image if image.mean() > 0.7 else image + 0.01


def test_exact_pictures_do_not_make_the_mean_infinite(tmp_path: Path) -> None:
    for name, level in (("0", 0.2), ("1", 0.4), ("2", 0.8)):
        write(tmp_path / f"{name}.png", Picture(torch.full((1, 3, 16, 16), level)))
    found = benchmark(model(Sometimes()), tmp_path, recipe="noise:0", device="cpu")
    assert [math.isinf(row.scores["psnr"]) for row in found.rows] == [False, False, True]
    few = Benchmark(
        "mine", "nothing", "", tuple(replace(row, baseline={"psnr": 20.0 + k}) for k, row in enumerate(found.rows))
    )
    assert few.mean.scores["psnr"] == pytest.approx((few.rows[0].scores["psnr"] + few.rows[1].scores["psnr"]) / 2)
    assert few.mean.baseline["psnr"] == 20.5, "of the same pictures"
    assert few.mean.scores["ssim"] == pytest.approx(sum(row.scores["ssim"] for row in few.rows) / 3)
    assert few.exact == 1 and few.mean.picture == "mean, PSNR without 1 exact"
    facts = json.loads(json.dumps(few.to_json(), allow_nan=False))
    assert facts["exact"] == 1 and facts["mean"]["scores"]["psnr"] is not None
    assert facts["pictures"][2]["scores"]["psnr"] is None


def test_colours_are_judged_as_users_get_them(tmp_path: Path) -> None:
    large = picture((300, 500), 0)
    write(tmp_path / "large.png", Picture(large))
    seen: list[Tensor] = []
    warm = nn.Conv2d(3, 3, 1)
    warm.register_forward_hook(lambda _, given, made: seen.append(given[0]))
    colorizer = model(warm, task="colorize", recipe=parse("colorize").to_json())
    row = benchmark(colorizer, tmp_path, device="cpu").rows[0]
    assert tuple(seen[-1].shape[-2:]) == (230, 384)
    made = enhance(Picture(parse("colorize")(large, [0])), chosen=Chosen("mine", colorizer, colorizer), device="cpu")
    assert row.scores["psnr_chroma"] == pytest.approx(
        psnr(made.picture.pixels, large, colour="chroma").item(), abs=0.01
    )


def test_progress_tells_the_picture(folder: Path) -> None:
    said: list[tuple[float, str]] = []
    benchmark("bicubic", folder, scale=2, progress=lambda done, words: said.append((done, words)), device="cpu")
    assert said == [(0.0, "0.png"), (0.5, "1.png")]


SUPERRES = {"task": "superres", "scale": 2}


@pytest.mark.parametrize(
    ("facts", "arguments", "words"),
    [
        ("bicubic", {}, "say how many"),
        ("bicubic", {"scale": 1}, "say how many"),
        ("bicubic", {"scale": 2, "quality": 10}, "not judged by JPEG"),
        ("jpeg", {}, "jpeg has any quality"),
        ("jpeg", {"quality": 101}, "no quality 101: give 1 to 100"),
        ("jpeg", {"quality": 10, "scale": 2}, "jpeg keeps the size, and cannot be judged at scale 2"),
        ("nothing", {}, "give the recipe"),
        ("nothing", {"recipe": "nosie:3"}, "nosie"),
        ("no-such", {}, "no model 'no-such'"),
        (SUPERRES, {"scale": 4}, "mine enlarges 2 times, and cannot be judged at scale 4"),
        (SUPERRES, {"quality": 10}, "mine is a model for superres, which is not judged by JPEG"),
        (SUPERRES, {"recipe": "down:4"}, "reduces pictures 4 times and mine enlarges 2 times"),
        ({"task": "restore"}, {}, "does not say what it was trained to undo"),
        ({"task": "restore"}, {"gray": True}, "gray is how JPEG is judged"),
        ({"task": "restore"}, {"quality": 10, "recipe": "jpeg:10"}, "give one of them"),
        ({"task": "segment"}, {}, "labels pixels and restores nothing"),
    ],
)
def test_what_does_not_go_together_is_one_line(facts: object, arguments: dict, words: str, folder: Path) -> None:
    judged = facts if isinstance(facts, str) else model(nn.Identity(), **facts)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=words):
        benchmark(judged, folder, **arguments)


def test_a_picture_that_cannot_be_judged_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        benchmark("bicubic", tmp_path / "none", scale=2)
    write(tmp_path / "dot.png", Picture(torch.rand(1, 3, 1, 1)))
    with pytest.raises(UsageError, match="dot.png cannot be judged: it has 1×1 pixels, too few for scale 2"):
        benchmark("bicubic", tmp_path, scale=2, device="cpu")
    write(tmp_path / "dot.png", Picture(torch.rand(1, 3, 12, 12)))
    with pytest.raises(UsageError, match="dot.png cannot be judged: SSIM"):
        benchmark("bicubic", tmp_path, scale=2, device="cpu")


@pytest.mark.realdata
def test_set5_and_classic5_give_the_published_rows(shared: Path) -> None:
    set5 = benchmark("bicubic", shared / "data/super-resolution/Set5", scale=4, device="cpu")
    assert len(set5.rows) == 5 and set5.mean.scores["psnr"] == pytest.approx(28.42, abs=0.02)
    classic5 = benchmark("jpeg", shared / "data/jpeg/classic5", quality=10, gray=True, device="cpu").mean.scores
    assert [classic5[name] for name in ("psnr", "ssim", "psnr_b")] == pytest.approx([27.82, 0.7595, 25.21], abs=0.006)


@pytest.mark.realdata
def test_a_gray_file_is_judged_by_its_own_values(shared: Path, tmp_path: Path) -> None:
    """Set14's img_003: taken for RGB it would do 1.3 dB better, and the bicubic row of the set 0.09 dB."""
    shutil.copy(shared / "data/super-resolution/Set14/x4/img_003_SRF_4_HR.png", tmp_path)
    found = benchmark("bicubic", tmp_path, scale=4, device="cpu")
    assert found.mean.scores["psnr"] == pytest.approx(23.15, abs=0.01)


def test_colours_below_transparency_do_not_count(tmp_path: Path) -> None:
    pixels, alpha = picture((32, 40), 0), torch.ones(1, 1, 32, 40)
    alpha[..., :16, :] = 0
    other = torch.where(alpha == 0, picture((32, 40), 1), pixels)
    for name, one in (("a", pixels), ("b", other)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "one.png", Picture(one, alpha=alpha))
    first, second = (benchmark("bicubic", tmp_path / name, scale=2).rows[0].scores for name in ("a", "b"))
    assert first == second
