"""The page: one file that needs no host, whose surfaces turn together and can be read, by pointer and by keys."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.inspection.landscape.chart import Chart, Way
from impasto.inspection.landscape.page import render
from impasto.inspection.landscape.surface import Grid

GRID = Grid.even(13, (-1.0, 1.0), (-1.0, 1.0))


def plane(title: str, factor: float) -> Chart:
    loss = 0.1 + factor * (GRID.x**2 + GRID.y[:, None] ** 2)
    loss[0, 0] = np.nan
    points = np.array([[0.9, 0.2], [0.4, -0.3], [0.0, 0.0]])
    way = Way(points, np.array([0.4, 0.8, 1.0]), 0.9, np.array([2.0, 0.9, 0.1]), ("before training", "one", "two"))
    return Chart(title, GRID, {"loss": loss, "accuracy": np.exp(-loss)}, ("along", "across"), way,
                 {"loss": {"centre": 0.1, "border": 1.0, "concave": 0.0, "negative": 0.0, "minima": 1, "finite": 0.9}},
                 {"network": "scratch:plain", "pictures": 8})  # fmt: skip


CHARTS = [plane("</script><b>plain", 1.0), plane("residual", 100.0)]


def test_it_needs_nothing_else_and_runs_nothing_that_a_name_holds() -> None:
    text = render(CHARTS)
    assert "http://" not in text and "https://" not in text and "<b>plain" not in text
    assert text.count("</script>") == 2
    held = text.split('id="data">')[1].split("</script>")[0]
    assert json.loads(held)["charts"][0]["values"]["loss"][0][0] is None
    assert json.loads(held)["charts"][0]["title"] == CHARTS[0].title


def test_the_numbers_stand_in_a_table_too() -> None:
    assert "local minima" in render(CHARTS) and "scratch:plain" in render(CHARTS)


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """The page of two surfaces, from a file; any complaint or request fails the test."""
    (tmp_path / "index.html").write_text(render(CHARTS), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1100, "height": 900}, color_scheme="light")
    opened, wrong = context.new_page(), []
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
    opened.goto((tmp_path / "index.html").as_uri())
    opened.wait_for_selector("canvas[data-view]")
    yield opened
    context.close()
    assert not wrong


def views(page: Any) -> list[str]:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate("() => [...document.querySelectorAll('canvas')].map((one) => one.dataset.view)")


def picture(page: Any, which: int = 0) -> str:
    views(page)
    return page.evaluate("(k) => document.querySelectorAll('canvas')[k].toDataURL()", which)


def test_something_is_drawn_and_the_scale_changes_it(page: Any) -> None:
    first = picture(page)
    assert len(first) > 10_000
    page.get_by_label("Log scale").click()
    second = picture(page)
    assert second != first
    page.get_by_label("Height").select_option("accuracy")
    assert picture(page) not in (first, second)
    page.get_by_label("Training").click()
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_two_surfaces_turn_together_until_they_are_not_to(page: Any) -> None:
    canvas = page.locator("canvas").first
    before = views(page)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 280, box["y"] + 230, steps=3)
    page.mouse.up()
    turned = views(page)
    assert turned[0] == turned[1] != before[0]
    page.mouse.wheel(0, -300)
    assert views(page)[0].split()[2] > turned[0].split()[2]
    page.get_by_label("Turn together").uncheck()
    canvas.press("ArrowLeft")
    apart = views(page)
    assert apart[0] != apart[1]
    page.get_by_role("button", name="Reset").click()
    assert views(page)[0] == before[0] != views(page)[1]


def test_keys_turn_zoom_and_step_from_point_to_point(page: Any) -> None:
    canvas, output = page.locator("canvas").nth(1), page.locator("output").nth(1)
    first = views(page)[1]
    for key in ("ArrowRight", "ArrowUp", "+"):
        canvas.press(key)
        last, first = first, views(page)[1]
        assert first != last
    canvas.press("0")
    canvas.press("Shift+ArrowLeft")
    assert output.text_content() == "at (0, 0): loss 0.1, accuracy 90.5 %"
    canvas.press("Shift+ArrowRight")
    assert output.text_content().startswith("at (0.167, 0): loss 2.88")
    assert page.get_by_label("Log scale").is_checked()  # from the beginning, for losses so far apart
    canvas.press("l")
    assert not page.get_by_label("Log scale").is_checked()
    canvas.press("Escape")
    assert output.text_content().strip() == ""


def test_pointing_reads_values_and_snapshots(page: Any) -> None:
    box = page.locator("canvas").first.bounding_box()
    said = set()
    for dx in range(60, int(box["width"]) - 60, 12):
        for dy in range(150, 420, 30):
            page.mouse.move(box["x"] + dx, box["y"] + dy)
            said.add(page.locator("output").first.text_content())
    assert any(one.startswith("at (") for one in said)
    assert any("the weights themselves have loss" in one for one in said)
    assert not any("NaN" in one or "undefined" in one for one in said)


def test_every_control_has_a_name_and_can_be_reached_by_keys(page: Any) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, canvas')].filter((one) => {
            const by = (one.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id)?.textContent || '').join('');
            return !(one.getAttribute('aria-label') || by || one.labels?.[0]?.textContent || one.textContent).trim() || one.tabIndex < 0;
        }).length"""
    )
    assert nameless == 0


def test_a_phone_needs_no_sideways_scrolling(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert len(picture(page)) > 5_000


def test_a_line_is_a_curve_that_can_be_read(browser: Any, tmp_path: Path) -> None:
    grid = Grid.even(5, (-1.0, 1.0))
    line = Chart("one", grid, {"loss": 1 + grid.x[None] ** 2}, ("along",))
    (tmp_path / "line.html").write_text(render([line]), encoding="utf-8")
    opened, wrong = browser.new_page(), []
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto((tmp_path / "line.html").as_uri())
    opened.locator("canvas").press("ArrowRight")
    opened.locator("canvas").press("ArrowRight")
    assert opened.locator("output").text_content() == "at 0.5: loss 1.25"
    opened.close()
    assert not wrong
