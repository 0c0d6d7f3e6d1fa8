"""The page of before and after, in a real browser: from a file, by mouse and by keyboard, whatever a name holds."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.images import Picture, write
from impasto.translation import before_after as room
from impasto.translation.before_after import before_after

NASTY = "<b>\"'&</b></script><script>document.title='owned'</script>.png"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A black picture of half the size, and a white one after it."""
    folder = tmp_path_factory.mktemp("page")
    black, white = Picture(torch.zeros(1, 3, 120, 200)), Picture(torch.ones(1, 3, 240, 400))
    write(folder / "white.png", white)
    return before_after([(NASTY, black, white), ("other", black, folder / "white.png")], folder / "page.html")


@pytest.fixture
def page(made: Path, browser: Any) -> Any:
    page = browser.new_page(viewport={"width": 900, "height": 900})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("request", lambda request: request.url.startswith("http") and wrong.append(request.url))
    page.goto(made.as_uri())
    yield page
    assert wrong == []
    page.close()


def shown_before(page: Any, which: int = 0) -> float:
    """The part of a picture that is still as it was before, from its colours."""
    box = page.locator(".stage").nth(which).bounding_box()
    row = {"x": box["x"], "y": box["y"] + box["height"] - 20, "width": box["width"], "height": 4}
    from io import BytesIO

    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(BytesIO(page.screenshot(clip=row))).convert("L"))
    return float((pixels[1] < 60).mean())


def test_names_are_shown_and_never_run(page: Any) -> None:
    assert page.title() == "Before and after"
    assert page.locator("figcaption").first.text_content().startswith(NASTY)


def test_the_slider_is_moved_by_mouse(page: Any) -> None:
    assert shown_before(page) == pytest.approx(0.5, abs=0.03)
    box = page.locator(".stage").first.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 80, steps=4)
    page.mouse.up()
    assert shown_before(page) == pytest.approx(0.8, abs=0.03)
    assert shown_before(page, 1) == pytest.approx(0.5, abs=0.03)
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 20)
    assert shown_before(page) == pytest.approx(0.25, abs=0.03)


def test_the_slider_is_moved_by_keys(page: Any) -> None:
    page.keyboard.press("Tab")  # the button
    page.keyboard.press("Tab")
    slider = page.get_by_role("slider", name=NASTY)
    assert slider.evaluate("(it) => it === document.activeElement")
    assert page.locator(".stage").first.evaluate("(it) => getComputedStyle(it).outlineStyle") != "none"
    page.keyboard.press("End")
    assert shown_before(page) > 0.97
    page.keyboard.press("Home")
    assert shown_before(page) < 0.02
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert shown_before(page) == pytest.approx(0.1, abs=0.03)


def test_pixel_for_pixel_is_that(page: Any) -> None:
    page.set_viewport_size({"width": 300, "height": 600})
    stage = page.locator(".stage").first
    assert stage.bounding_box()["width"] < 300
    button = page.get_by_role("button", name="Pixel for pixel")
    button.click()
    assert stage.bounding_box()["width"] == 400 and button.get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # the figure scrolls, not the page


def test_everything_is_inside(made: Path) -> None:
    text = made.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', text) and "url(" not in text


def test_large_pictures_are_shown_smaller_and_their_middle_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LONGEST", 100)
    monkeypatch.setattr(room, "DETAIL", 60)
    after = torch.zeros(1, 3, 160, 200)
    after[..., 50:110, 70:130] = 1  # what the middle shows
    whole, middle = room._views("x", Picture(after[..., ::2, ::2].contiguous()), Picture(after))
    assert (whole.width, whole.height, middle.width, middle.height) == (100, 80, 60, 60)
    assert whole.about == "100×80 → 200×160"
    small = room._middle(after[..., ::2, ::2], (160, 200))
    assert small.shape[-2:] == (60, 60) and small.mean() > 0.95
    assert before_after([("x", Picture(after), Picture(after))], tmp_path / "p.html").stat().st_size < 40_000


def test_what_is_transparent_is_shown_on_gray() -> None:
    seen = room._seen(Picture(torch.ones(1, 3, 2, 2), alpha=torch.zeros(1, 1, 2, 2)))
    assert (seen == 0.5).all()


@pytest.mark.parametrize("side", [601, 520])
def test_a_detail_shows_the_same_place_before_and_after(side: int) -> None:
    """Sides that leave a remainder when they are halved, on a picture enlarged four times."""
    before = torch.zeros(1, 3, side, side)
    before[..., side // 2, side // 2 + 40] = 1
    after = before.repeat_interleave(4, 2).repeat_interleave(4, 3)
    large = (4 * side, 4 * side)
    places = []
    for image in (before, after):
        cut = room._middle(image, large)[0, 0].clamp_min(0)
        assert cut.shape == (room.DETAIL, room.DETAIL)
        y, x = torch.meshgrid(torch.arange(room.DETAIL) + 0.5, torch.arange(room.DETAIL) + 0.5, indexing="ij")
        places.append((float((cut * y).sum() / cut.sum()), float((cut * x).sum() / cut.sum())))
    assert places[0] == pytest.approx(places[1], abs=0.1)
