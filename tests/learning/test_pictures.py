"""Pictures of a manifest: every kind of file upright and in sRGB, made square, decoded ahead and held."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, ImageFilter

from impasto.errors import UsageError
from impasto.images import read
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import PADDING, Fit, Pictures, Preprocessing, picture_hash, read_pixels

WIDTH, HEIGHT = 48, 32


@pytest.fixture
def scene() -> np.ndarray:
    """A smooth colour picture with no symmetry: (32, 48, 3)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 5, y * 7, 255 - x * 2 - y * 3], axis=-1).astype(np.uint8)


def manifest(*files: Path) -> Manifest:
    return Manifest.from_rows([{"path": file.name} for file in files], files[0].parent)


def pixels(file: Path, size: int = 16, fit: Fit = "squish") -> np.ndarray:
    """Levels (s, s, 3)."""
    return read_pixels(manifest(file), 0, Preprocessing(size, fit)).permute(1, 2, 0).numpy().astype(int)


def expected(scene: np.ndarray, size: int = 16) -> np.ndarray:
    image = Image.fromarray(scene).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).astype(int)


def save(scene: np.ndarray, path: Path, mode: str = "RGB", **options: object) -> Path:
    Image.fromarray(scene).convert(mode).save(path, **options)
    return path


class TestFiles:
    def test_a_png_is_resampled_with_antialiasing(self, scene: np.ndarray, tmp_path: Path) -> None:
        assert abs(pixels(save(scene, tmp_path / "a.png")) - expected(scene)).max() <= 2

    def test_a_large_jpeg_decoded_at_a_smaller_scale_looks_the_same(self, scene: np.ndarray, tmp_path: Path) -> None:
        large = np.asarray(Image.fromarray(scene).resize((960, 640), Image.Resampling.BICUBIC))
        rng = np.random.default_rng(0)
        noisy = (large + rng.normal(0, 20, large.shape)).clip(0, 255).astype(np.uint8)
        path = save(noisy, tmp_path / "a.jpg", quality=95)
        whole = np.asarray(Image.open(path).resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
        assert abs(pixels(path, 64) - whole).mean() < 1.5

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("fit", ["squish", "crop", "pad"])
    def test_a_turned_picture_comes_upright(
        self, scene: np.ndarray, tmp_path: Path, orientation: int, fit: Fit
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = save(scene, tmp_path / "turned.png", exif=exif)
        upright = read(path).pixels[0].permute(1, 2, 0).mul(255).round().byte().numpy()
        straight = save(upright, tmp_path / "straight.png")
        assert abs(pixels(path, 20, fit) - pixels(straight, 20, fit)).max() <= 1

    def test_gray_comes_in_three_equal_channels(self, scene: np.ndarray, tmp_path: Path) -> None:
        found = pixels(save(scene, tmp_path / "a.png", "L"))
        assert (found == found[..., :1]).all()

    def test_a_palette_gives_its_colours(self, scene: np.ndarray, tmp_path: Path) -> None:
        assert abs(pixels(save(scene, tmp_path / "a.gif", "P")) - expected(scene)).mean() < 15

    @pytest.mark.parametrize(("name", "mode"), [("a.png", "RGBA"), ("a.png", "LA"), ("a.webp", "RGBA")])
    def test_what_is_transparent_is_white(self, tmp_path: Path, name: str, mode: str) -> None:
        clear = Image.new("RGBA", (20, 20), (10, 20, 30, 0)).convert(mode)
        clear.save(tmp_path / name, lossless=True)
        assert (pixels(tmp_path / name) == 255).all()

    def test_a_palette_with_a_transparent_colour_is_white_there(self, tmp_path: Path) -> None:
        image = Image.new("P", (20, 20), 0)
        image.putpalette([10, 20, 30, 200, 100, 0])
        image.save(tmp_path / "a.png", transparency=0)
        assert (pixels(tmp_path / "a.png") == 255).all()

    def test_sixteen_bits_give_their_upper_eight(self, scene: np.ndarray, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a.tif", scene.astype(np.uint16) * 257, photometric="rgb")
        assert abs(pixels(tmp_path / "a.tif") - expected(scene)).max() <= 2

    def test_sixteen_bit_gray_is_not_cut_off_at_white(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((20, 20), 0x8000, np.uint16)).save(tmp_path / "a.png")
        assert (pixels(tmp_path / "a.png") == 128).all()

    def test_cmyk_is_converted_as_reading_does(self, scene: np.ndarray, tmp_path: Path) -> None:
        path = save(scene, tmp_path / "a.jpg", "CMYK", quality=100)
        whole = read(path).pixels[0].permute(1, 2, 0).mul(255).round().byte().numpy()
        assert abs(pixels(path) - expected(whole)).max() <= 2

    def test_a_profile_is_applied(self, tmp_path: Path) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # no profile for RGB: ignored
        Image.new("RGB", (20, 20), (200, 100, 50)).save(tmp_path / "ignored.png", icc_profile=profile)
        assert (pixels(tmp_path / "ignored.png") == (200, 100, 50)).all()
        import pyvips

        p3 = bytes(pyvips.Image.profile_load("p3"))
        Image.new("RGB", (20, 20), (200, 100, 50)).save(tmp_path / "p3.png", icc_profile=p3)
        meant = read(tmp_path / "p3.png").pixels[0, :, 0, 0].mul(255).round().numpy()
        assert abs(meant - (200, 100, 50)).max() > 3
        assert abs(pixels(tmp_path / "p3.png") - meant).max() <= 1

    def test_heic_is_read(self, scene: np.ndarray, tmp_path: Path) -> None:
        import pillow_heif

        pillow_heif.from_pillow(Image.fromarray(scene)).save(tmp_path / "a.heic", quality=95)
        assert abs(pixels(tmp_path / "a.heic") - expected(scene)).mean() < 6

    @pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(40)])
    def test_a_broken_picture_is_named(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "broken.jpg").write_bytes(content)
        with pytest.raises(UsageError, match=r"broken\.jpg") as said:
            pixels(tmp_path / "broken.jpg")
        assert "\n" not in str(said.value)

    def test_a_cut_picture_is_named(self, scene: np.ndarray, tmp_path: Path) -> None:
        path = save(scene, tmp_path / "cut.jpg", quality=95)
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(UsageError, match=r"cut\.jpg"):
            pixels(path)

    def test_a_missing_picture_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"gone\.jpg"):
            pixels(tmp_path / "gone.jpg")

    def test_a_digit_of_an_idx_file_is_read_by_its_number(self, tmp_path: Path) -> None:
        digits = np.arange(3 * 28 * 28, dtype=np.uint32).reshape(3, 28, 28).astype(np.uint8)
        header = bytes([0, 0, 8, 3]) + np.array(digits.shape, ">i4").tobytes()
        (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + digits.tobytes())
        rows = Manifest.from_rows([{"path": "t10k-images-idx3-ubyte#2"}], tmp_path)
        found = read_pixels(rows, 0, Preprocessing(28))
        assert torch.equal(found, torch.from_numpy(digits[2]).expand(3, 28, 28))
        assert len(picture_hash(rows, 0)) == 64


class TestFits:
    def test_a_crop_is_the_middle(self, scene: np.ndarray, tmp_path: Path) -> None:
        found = pixels(save(scene, tmp_path / "a.png"), HEIGHT, "crop")
        assert np.array_equal(found, scene[:, 8:40])

    def test_padding_lies_on_both_sides(self, scene: np.ndarray, tmp_path: Path) -> None:
        found = pixels(save(scene, tmp_path / "a.png"), WIDTH, "pad")
        assert np.array_equal(found[8:40], scene)
        assert (found[:8] == PADDING).all()
        assert (found[40:] == PADDING).all()

    @pytest.mark.parametrize("fit", ["squish", "crop", "pad"])
    @pytest.mark.parametrize("shape", [(90, 60), (60, 90), (101, 37), (33, 33)])
    def test_boxes_go_with_the_pixels(self, tmp_path: Path, fit: Fit, shape: tuple[int, int]) -> None:
        width, height = shape
        box = (width // 2 - 9, height // 2 - 7, width // 2 + 6, height // 2 + 10)
        image = np.zeros((height, width, 3), np.uint8)
        image[box[1] : box[3], box[0] : box[2]] = (255, 0, 0)
        path = save(image, tmp_path / "a.png")
        preprocessing = Preprocessing(60, fit)
        parts = preprocessing.to_parts(box, width, height)
        red = pixels(path, 60, fit)
        y, x = np.nonzero((red[..., 0] > 127) & (red[..., 1] < 50))
        seen = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
        assert abs(np.array(parts) * 60 - seen).max() <= 1

    @pytest.mark.parametrize("fit", ["squish", "crop", "pad"])
    def test_parts_come_back_as_the_pixels_they_were(self, fit: Fit) -> None:
        preprocessing = Preprocessing(64, fit)
        parts = preprocessing.to_parts((10, 20, 30, 60), 101, 67)
        assert np.allclose(preprocessing.to_pixels(parts, 101, 67), (10, 20, 30, 60))

    def test_a_wrong_fit_lists_the_right_ones(self) -> None:
        with pytest.raises(UsageError, match="squish, crop, pad"):
            Preprocessing(64, "stretch")  # type: ignore[arg-type]

    def test_a_size_of_nothing_is_refused(self) -> None:
        with pytest.raises(UsageError, match="0 pixels"):
            Preprocessing(0)


class TestPictures:
    @pytest.fixture
    def rows(self, scene: np.ndarray, tmp_path: Path) -> Manifest:
        files = []
        for number in range(20):
            turned = np.roll(scene, number, axis=1)
            image = Image.fromarray(turned).filter(ImageFilter.GaussianBlur(number / 10))
            image.save(tmp_path / f"{number}.png")
            files.append(tmp_path / f"{number}.png")
        return manifest(*files)

    @pytest.mark.parametrize("memory", [0, 10**9])
    def test_batches_come_in_order_and_as_they_are_read_one_by_one(self, rows: Manifest, memory: int) -> None:
        preprocessing = Preprocessing(16)
        pictures = Pictures(rows, preprocessing, memory_bytes=memory, threads=3)
        order = [[3, 1, 4, 1, 5], [9, 2, 6], [], [5, 3, 5, 8, 9, 7, 9, 0, 10, 11, 12]]
        for _ in range(2):
            seen = list(pictures.stream(order))
            assert [list(indices) for indices, _ in seen] == order
            for indices, batch in seen:
                assert batch.dtype == torch.uint8
                assert batch.shape == (len(indices), 3, 16, 16)
                for index, picture in zip(indices, batch, strict=True):
                    assert torch.equal(picture, read_pixels(rows, index, preprocessing))

    def test_what_fits_is_read_once(self, rows: Manifest) -> None:
        pictures = Pictures(rows, Preprocessing(16), memory_bytes=20 * 16 * 16 * 3)
        before = pictures.get(range(20))
        for file in rows.root.glob("*.png"):
            file.unlink()
        assert torch.equal(pictures.get(range(20)), before)

    def test_what_does_not_fit_is_read_again(self, rows: Manifest) -> None:
        pictures = Pictures(rows, Preprocessing(16), memory_bytes=20 * 16 * 16 * 3 - 1)
        pictures.get([0])
        (rows.root / "0.png").unlink()
        with pytest.raises(UsageError, match=r"0\.png"):
            pictures.get([0])

    def test_a_batch_may_be_changed_without_changing_what_is_held(self, rows: Manifest) -> None:
        pictures = Pictures(rows, Preprocessing(16))
        first = pictures.get([0]).clone()
        pictures.get([0]).zero_()
        assert torch.equal(pictures.get([0]), first)

    def test_a_broken_picture_stops_the_stream_with_its_name(self, rows: Manifest) -> None:
        (rows.root / "7.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        pictures = Pictures(rows, Preprocessing(16))
        with pytest.raises(UsageError, match=r"7\.png"):
            list(pictures.stream([[1, 2], [6, 7], [8]]))
        assert len(pictures.get([8])) == 1

    def test_batches_are_asked_for_ahead_but_not_all_at_once(self, rows: Manifest) -> None:
        asked = []

        def batches() -> object:
            for number in range(10):
                asked.append(number)
                yield [number]

        stream = Pictures(rows, Preprocessing(16)).stream(batches(), ahead=2)  # type: ignore[arg-type]
        next(stream)
        assert asked == [0, 1, 2]
        stream.close()  # type: ignore[attr-defined]
