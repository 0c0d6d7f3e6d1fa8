"""A network over a picture: tiled is untiled, memory that runs out divides, half precision is only taken where it holds."""

import logging
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import ImpastoError
from impasto.translation import apply as room
from impasto.translation.apply import apply
from impasto.translation.architectures import build
from impasto.translation.field import field_of
from impasto.translation.model import TranslationModel

ARCHITECTURES = [
    {"kind": "light", "scale": 1, "width": 8, "blocks": 2, "fold": 2},
    {"kind": "light", "scale": 2, "width": 8, "blocks": 2},
    {"kind": "light", "scale": 3, "width": 8, "blocks": 1},
    {"kind": "light", "scale": 4, "width": 8, "blocks": 2},
    {"kind": "unet", "width": 16},
    {"kind": "unet", "width": 16, "norm": "spectral", "blur": False, "cross": False},
    {"kind": "unet", "layers": 6, "width": 16, "norm": "weight"},
    {"kind": "transformer", "width": 4, "blocks": 1},
    {"kind": "transformer", "width": 4, "blocks": 1, "scale": 2, "factored": True, "norm": "batch"},
]


def model_of(module: nn.Module, scale: int = 1) -> TranslationModel:
    return TranslationModel("test", module.eval().requires_grad_(False), "restore", scale)


def random_model(architecture: dict) -> TranslationModel:
    """The architecture with weights that make every path count: freshly made, many begin at nothing."""
    torch.manual_seed(0)
    module = build(architecture)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
    for name, parameter in module.named_parameters():
        if "encoder" not in name and parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter)
    return model_of(module, architecture.get("scale", 1))


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: "-".join(map(str, a.values())))
def test_tiled_is_untiled(architecture: dict) -> None:
    """No size is a multiple, and some tiles see no border: of pictures that lie, of such that stand, and of squares."""
    model = random_model(architecture)
    halo, step = (f := field_of(model.module, model.scale)).halo, f.step
    side = max(24, 2 * step)
    short, long = side + 5, 2 * halo + 3 * side + 7
    # whole squares, whose middle tile sees no border at all, of what is cheap
    for size in [(long, long)] if architecture["kind"] == "light" else [(short, long), (long, short)]:
        pixels = picture(*size)
        with torch.no_grad():
            whole = model.module(pixels)
        picture_itself = F.interpolate(pixels, scale_factor=model.scale)
        assert float((whole - picture_itself).abs().max()) > 0.1
        for tile in (side, "auto"):
            error = (apply(model, pixels, tile=tile) - whole).abs().max() / whole.abs().max().clamp_min(1)
            assert float(error) <= 1e-5


@pytest.mark.parametrize("kernel", [(9, 1), (1, 9)])
def test_what_looks_along_one_side_only_has_no_seams(kernel: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = model_of(nn.Conv2d(3, 3, kernel, padding=(kernel[0] // 2, kernel[1] // 2)))
    pixels = picture(70, 70)
    assert (apply(model, pixels, tile=24) - model.module(pixels)).abs().max() < 1e-6


def test_too_small_a_halo_would_be_seen() -> None:
    """The comparison can fail: with less than the field, tiles differ."""
    model = random_model(ARCHITECTURES[1])
    pixels = picture(40, 90)
    whole = apply(model, pixels)
    assert (apply(model, pixels, tile=24, overlap=2) - whole).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 2), (7, 33)])
def test_the_smallest_pictures_work(size: tuple[int, int]) -> None:
    for architecture in (ARCHITECTURES[1], ARCHITECTURES[4]):
        model = random_model(architecture)
        pixels = picture(*size)
        out = apply(model, pixels, tile=16, self_ensemble=True)
        assert out.shape[-2:] == (size[0] * model.scale, size[1] * model.scale) and out.isfinite().all()


@pytest.mark.parametrize("architecture", [ARCHITECTURES[1], ARCHITECTURES[4]], ids=["light", "unet"])
def test_the_self_ensemble_is_the_mean_over_the_square_s_symmetries(architecture: dict) -> None:
    model = random_model(architecture)
    pixels = picture(37, 61)
    turned = []
    for quarter in range(4):
        for flipped in (False, True):
            view = torch.rot90(pixels, quarter, (2, 3))
            made = model.module(view.flip(3) if flipped else view)
            turned.append(torch.rot90(made.flip(3) if flipped else made, -quarter, (2, 3)))
    mean = torch.stack(turned).mean(0)
    assert (apply(model, pixels, self_ensemble=True) - mean).abs().max() < 1e-5 * mean.abs().max().clamp_min(1)
    tiled = apply(model, pixels, self_ensemble=True, tile=24)
    assert (tiled - mean).abs().max() < 1e-5 * mean.abs().max().clamp_min(1)


class Hungry(nn.Module):
    """Runs out of memory above some number of pixels, as torch says it on the GPU, on the CPU, or as Python does."""

    def __init__(self, error: type[BaseException], words: str, most: int = 10**9) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.most, self.error, self.words = most, error, words
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.shape[-1] * x.shape[-2])
        if self.seen[-1] > self.most:
            raise self.error(self.words)
        return F.pixel_shuffle(self.conv(x), 2)


def hungry(error: type[BaseException] = torch.OutOfMemoryError, words: str = "CUDA out of memory.") -> Hungry:
    """One whose field is known, and whose memory does not run out yet."""
    torch.manual_seed(0)
    module = Hungry(error, words)
    module.conv.requires_grad_(False)
    field_of(module, 2)
    module.seen.clear()
    return module


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2 GiB"),
        (
            RuntimeError,
            "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: not enough memory: you tried to allocate",
        ),
        (MemoryError, ""),
        (RuntimeError, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        (RuntimeError, "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_memory_that_runs_out_divides_the_tile_and_the_result_is_whole(error: type, words: str) -> None:
    module = hungry(error, words)
    module.most = 60 * 60
    pixels = picture(100, 170)
    out = apply(model_of(module, 2), pixels, tile=200)
    refused = [seen for seen in module.seen if seen > module.most]
    assert len(refused) == 2  # the whole, and its halves: later tiles are small from the beginning
    module.most = 10**9
    assert (out - module(pixels)).abs().max() < 1e-6


def test_memory_that_runs_out_late_leaves_no_stale_tile() -> None:
    module = hungry()
    pixels = picture(64, 128)
    seen = []

    def tell(done: float, words: str) -> None:
        seen.append(done)
        if len(seen) == 2:
            module.most = 20 * 20

    out = apply(model_of(module, 2), pixels, tile=32, progress=tell, self_ensemble=True)
    module.most = 10**9
    module.seen.clear()
    assert (out - apply(model_of(module, 2), pixels, self_ensemble=True)).abs().max() < 1e-6
    assert seen == sorted(seen) and seen[-1] == pytest.approx(1)


def test_no_memory_at_all_is_said_in_a_line() -> None:
    with pytest.raises(ImpastoError, match="not enough memory on cpu for test, even in tiles of 16 pixels"):
        module = hungry()
        module.most = 100
        apply(model_of(module, 2), picture(64, 64), tile=32)


def refuses(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_where_there_is_no_memory_to_count_the_smallest_tiles_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    module, pixels = hungry(), picture(140, 150)
    whole = module(pixels)
    for name in ("footprint", "field_of"):
        with monkeypatch.context() as patched:
            patched.setattr(room, name, refuses)
            if name == "field_of":
                patched.setattr(room, "SMALLEST_BUDGET", 1)
                with pytest.raises(ImpastoError, match="not enough memory on cpu for test: close"):
                    apply(model_of(module, 2), pixels, memory=0.01)
            else:
                module.seen.clear()
                assert (apply(model_of(module, 2), pixels) - whole).abs().max() < 1e-6
                assert max(module.seen) <= 18 * 18


def test_a_model_for_which_there_is_no_memory_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = hungry()
    monkeypatch.setattr(module, "to", refuses)
    with pytest.raises(ImpastoError, match="not enough memory on cpu for test: close other programs"):
        apply(model_of(module, 2), picture(20, 20))


def test_where_there_is_no_memory_to_try_half_precision_single_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    module, pixels = hungry(), picture(100, 100)
    module.most = 40 * 40
    out = apply(model_of(module, 2), pixels, precision="bf16", tile=32)
    module.most = 10**9
    assert (out - module(pixels)).abs().max() < 1e-6 and "no memory to try test in half precision" in caplog.text


def test_another_error_of_the_network_is_not_taken_for_memory() -> None:
    with pytest.raises(RuntimeError, match="something else"):
        apply(model_of(Hungry(RuntimeError, "something else", 0), 2), picture(64, 64))


def test_a_network_that_gives_another_size_than_it_says_is_refused() -> None:
    with pytest.raises(ImpastoError, match="its scale and classes promise"):
        apply(model_of(nn.Conv2d(3, 3, 3), 1), picture(20, 20))


class Excited(nn.Module):
    """Each channel times its mean over the picture, and a little convolution."""

    def __init__(self, most: int = 10**9) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] * x.shape[-2] > self.most:
            raise MemoryError
        return self.conv(x) * x.mean((2, 3), keepdim=True)


def test_what_looks_everywhere_is_worked_whole_if_it_fits(caplog: pytest.LogCaptureFixture) -> None:
    model, pixels = model_of(Excited()), picture(80, 90)
    assert torch.equal(apply(model, pixels), model.module(pixels)) and not caplog.records


@pytest.mark.parametrize("most", [10**9, 300 * 300])
def test_what_looks_everywhere_is_blended_with_a_warning_when_it_does_not_fit(
    most: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of(Excited(most))
    pixels = picture(300, 500)
    tile = "auto" if most < 10**9 else 150
    with caplog.at_level(logging.WARNING, "impasto"):
        out = apply(model, pixels, tile=tile)
    assert len(caplog.records) == 1 and "looks at the whole picture (global pooling)" in caplog.text
    model.module.most = 10**9
    whole = model.module(pixels)
    assert 0 < (out - whole).abs().max() < 0.05  # the tiles' means differ a little, and no seam is left
    steps = ((out - whole)[..., 1:] - (out - whole)[..., :-1]).abs().max()
    assert steps < 0.02


def test_chosen_small_overlaps_are_blended_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    model = random_model(ARCHITECTURES[3])
    with caplog.at_level(logging.WARNING, "impasto"):
        apply(model, picture(40, 90), tile=24, overlap=4)
    assert "tiles see only 4 beyond" in caplog.text


class Loud(nn.Module):
    """Values of 1000·gain on the way, which half precision holds up to 65504."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            for layer, factor in ((self.one, gain), (self.two, 1 / gain)):
                layer.weight.copy_(factor * torch.eye(3)[..., None, None])

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x))


@pytest.mark.parametrize("gain", [10.0, 1e6])
def test_half_precision_is_given_up_where_it_overflows(gain: float, caplog: pytest.LogCaptureFixture) -> None:
    pixels = picture(50, 60)
    out = apply(model_of(Loud(gain)), pixels, precision="16")
    assert (out - pixels).abs().max() < 1e-3
    assert bool((out - pixels).abs().max() > 1e-6) == (gain == 10.0)  # half precision was really taken where it holds
    assert ("overflows in 16 precision" in caplog.text) == (gain > 10)


def test_an_overflow_that_comes_later_is_mended(caplog: pytest.LogCaptureFixture) -> None:
    pixels = 0.01 * picture(50, 300)
    pixels[..., 280:] = 2
    out = apply(model_of(Loud(5e4)), pixels, precision="16", tile=100)
    assert (out - pixels).abs().max() < 1e-3 and "going on in single precision" in caplog.text


def test_half_precision_that_strays_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    class Cancelling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            half = torch.is_autocast_enabled("cpu")
            return x + 0.1 if half else x

    out = apply(model_of(Cancelling()), pixels := picture(20, 20), precision="bf16")
    assert torch.equal(out, pixels) and "strays in bf16 precision" in caplog.text


@pytest.mark.parametrize("margin", [1.0, 0.01])
def test_of_scores_only_the_highest_counts(margin: float, caplog: pytest.LogCaptureFixture) -> None:
    class Scores(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            near = 0.1 if torch.is_autocast_enabled("cpu") else 0.0
            return torch.cat([x[:, :1] * 0 + near, x[:, :1] * 0 + margin], dim=1)

    model = TranslationModel("test", Scores(), "segment", classes=("a", "b"))
    out = apply(model, picture(20, 20), precision="bf16")
    assert ("strays" in caplog.text) == (margin < 0.1)
    assert float(out[:, 0].max()) == pytest.approx(0.0 if margin < 0.1 else 0.1)


def test_a_model_that_says_it_has_no_half_precision_gets_none(caplog: pytest.LogCaptureFixture) -> None:
    model = replace(model_of(Loud(10.0)), card={"half": False})
    assert (apply(model, pixels := picture(20, 20), precision="16") - pixels).abs().max() < 1e-6
    assert "does not work in half precision" in caplog.text


def test_tiles_are_as_large_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(ARCHITECTURES[1])
    monkeypatch.setattr(room, "SMALLEST_BUDGET", 2**20)
    room.footprint(model.module), field_of(model.module, 2)
    pixels = picture(200, 300)
    seen: list[int] = []
    model.module.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[-1] * x[0].shape[-2]))
    for memory in (8.0, 0.1):
        seen.clear()
        out = apply(model, pixels, memory=memory)
        if memory == 8.0:
            assert seen == [200 * 300]
            whole = out
    takes = room.footprint(model.module)
    assert len(seen) > 4 and 2**18 < takes.bytes(max(seen)) < 2**20
    assert (out - whole).abs().max() < 1e-5 * whole.abs().max()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_automatic_precision_is_half_and_close() -> None:
    model = random_model(ARCHITECTURES[1])
    pixels = picture(200, 300)
    single = apply(model, pixels)
    device = torch.device("cuda")
    assert (apply(model, pixels, device=device, precision="32", tile=64) - single).abs().max() < 1e-3
    assert 0 < (apply(model, pixels, device=device, tile=64) - single).abs().max() < 0.05
