"""Live activations: true numbers, maps that lie where they look, and a page that works by keyboard."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.inspection.folder.live import LAYER_PIXELS, LiveActivations, activations, stages
from impasto.inspection.folder.pictures import sized
from impasto.networks import Network, Taps


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "photo.png"
    pixels = torch.full((1, 3, 72, 96), 0.1)
    pixels[..., 20:30, 60:70] = 1
    write(path, Picture(pixels))
    return path


@pytest.fixture(scope="module")
def made(picture: Path) -> LiveActivations:
    return activations(picture, network="pocket", size=96)


def test_every_layer_of_the_chain_is_shown_with_exact_numbers(made: LiveActivations, picture: Path) -> None:
    pocket = networks.load("pocket")
    assert [layer.tap for layer in made.layers] == list(pocket.aliases)
    with torch.no_grad():
        maps = Taps(pocket, ["relu2_1"])(sized(picture, 96))["relu2_1"][0]
    one = next(layer for layer in made.layers if layer.tap == "relu2_1")
    np.testing.assert_allclose(one.high, maps.amax((1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one.mean, maps.mean((1, 2)), rtol=1e-3, atol=1e-5)
    channel = int(one.high.argmax())
    row, column = one.peak[channel]
    assert float(maps[channel, row, column]) == pytest.approx(float(one.high[channel]), rel=1e-4)
    assert (one.zero >= 0).all() and one.shape == tuple(maps.shape)
    assert all(layer.maps.size <= LAYER_PIXELS for layer in made.layers)


def test_a_tap_that_is_out_of_range_or_a_network_without_convolutions_is_one_line(picture: Path) -> None:
    with pytest.raises(UsageError, match=r"has no tap 'features.99': it has"):
        activations(picture, network="pocket", taps="features.99")
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 72 * 96, 4))
    with pytest.raises(UsageError, match="no convolution"):
        activations(picture, network=Network("linear", flat.eval()), size=96)
    with pytest.raises(UsageError, match="does not exist|cannot be read|no such"):
        activations("nowhere.png")


def test_transformers_and_residual_networks_are_shown_too(picture: Path) -> None:
    vit = timm.create_model("vit_tiny_patch16_224", pretrained=False, img_size=96, num_classes=3).eval()
    found = activations(
        picture, network=Network("vit", vit, classes=("a", "b", "c")), size=96, taps=("blocks.1", "output")
    )
    assert found.layers[0].shape == (192, 6, 6) or found.layers[0].shape[0] == 192
    assert len(found.predictions) == 3 and found.layers[1].shape == (3, 1, 1)
    resnet = timm.create_model("resnet10t", pretrained=False).eval()
    with torch.no_grad():
        assert "layer2.0" in stages(Network("residual", resnet), torch.rand(1, 3, 64, 64))


def test_only_channels_that_are_classes_have_their_names(picture: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = Network("four", module.eval(), classes=("ant", "bee", "cow", "dog"))
    page = activations(picture, network=network, size=32, taps=("0", "2", "output")).page
    facts = json.loads(page.split('id="data">')[1].split("</script>")[0])["layers"]
    assert [one["names"] for one in facts] == [[], list(network.classes), list(network.classes)]


@pytest.fixture
def page(made: LiveActivations, browser: Any, problems: Any, tmp_path: Path) -> Any:
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    wrong = problems(page)
    page.goto(made.save(tmp_path / "live.html").as_uri())
    page.wait_for_selector("body[data-ready=true]")
    yield page
    assert wrong == []
    page.close()


def test_all_controls_have_names(page: Any, unnamed: Any) -> None:
    assert unnamed(page) == []
    assert page.locator("#chain button").count() == len(networks.load("pocket").aliases)


def test_the_keyboard_walks_through_channels_and_layers(page: Any) -> None:
    page.locator("#grid").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#said").text_content().startswith("conv1_1:1: highest ")
    page.keyboard.press("]")
    page.wait_for_selector("#grid[data-layer=relu1_1]")
    page.keyboard.press("End")
    assert page.locator("#said").text_content().startswith("relu1_1:15")
    page.keyboard.press("Enter")
    assert page.locator("#zoomed").text_content() == "relu1_1:15" and page.locator("#zoom").is_visible()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#zoomed").text_content() == "relu1_1:14"
    assert "highest at" in page.locator("#numbers").text_content()
    page.keyboard.press("Escape")
    assert not page.locator("#zoom").is_visible()


def test_brightness_relative_to_the_layer_darkens_quiet_channels(page: Any) -> None:
    def brightness() -> float:
        return page.evaluate(
            """() => { const g = document.getElementById('grid');
                const all = g.getContext('2d').getImageData(0, 0, g.width, g.height).data;
                return all.reduce((a, b) => a + b, 0) / all.length; }"""
        )

    page.get_by_role("button", name="relu2_1").click()
    page.wait_for_selector("#grid[data-layer=relu2_1]")
    each = brightness()
    page.get_by_role("button", name="The whole layer").click()
    assert brightness() < each


def test_clicking_a_channel_and_sorting_show_the_strongest(page: Any, made: LiveActivations) -> None:
    page.locator("#chain button").nth(1).click()
    page.wait_for_selector("#grid[data-layer=relu1_1]")
    page.locator("#sort").select_option("high")
    strongest = int(made.layers[1].high.argmax())
    page.locator("#grid").click(position={"x": 10, "y": 10})
    assert page.locator("#zoomed").text_content() == f"relu1_1:{strongest}"
    page.get_by_role("button", name="Close").click()
    assert not page.locator("#zoom").is_visible()


def test_the_overlay_lies_where_the_activation_looks(page: Any, made: LiveActivations) -> None:
    one = made.layers[1]
    channel = int(one.high.argmax())
    page.locator("#chain button").nth(1).click()
    page.wait_for_selector("#grid[data-layer=relu1_1]")
    page.locator("#sort").select_option("high")
    page.keyboard.press("Tab")
    page.locator("#grid").click(position={"x": 10, "y": 10})
    page.locator("#through").fill("0")
    row, column = one.peak[channel]
    # the place of the highest activation is bright in the overlay, at the picture's own place
    bright = page.evaluate(
        """([row, column, width]) => { const o = document.getElementById('over'), by = o.width / width;
            const d = o.getContext('2d').getImageData((column + 0.5) * by, (row + 0.5) * by, 1, 1).data;
            return d[0] + d[1] + d[2]; }""",
        [int(row), int(column), 96],
    )
    assert bright > 500


def test_a_phone_needs_no_scrolling_aside(made: LiveActivations, browser: Any, problems: Any, tmp_path: Path) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 780}, color_scheme="dark")
    wrong = problems(phone)
    phone.goto(made.save(tmp_path / "live.html").as_uri())
    phone.wait_for_selector("body[data-ready=true]")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390 and wrong == []
    phone.close()


@pytest.mark.realdata
def test_squeezenets_page_has_its_classes_and_stays_a_few_megabytes(shared: Path) -> None:
    photo = sorted((shared / "data/photos").iterdir())[0]
    found = activations(photo, network="squeezenet1_0", weights=shared / "weights/squeezenet1_0.safetensors")
    assert {"features.0", "features.12", "classifier.1"} <= {layer.tap for layer in found.layers}
    assert len(found.predictions) == 5 and len(found.page) < 8e6
