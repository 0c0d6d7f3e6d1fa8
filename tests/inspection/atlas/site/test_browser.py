"""The site in a real browser: every page loads, everything can be reached and read, by mouse, keys and a thumb."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from impasto.inspection.atlas.content import AtlasContent
from impasto.inspection.atlas.site.write import write_site

KINDS = (
    "index.html",
    "layers/head.html",
    "units/conv1/1.html",
    "units/head/3.html",
    "activation-atlas/block.0=2Fa.html",
    "compare.html",
)
CONTROLS = {"button", "link", "textbox", "searchbox", "combobox", "slider", "checkbox", "option", "listbox", "dialog"}

BROKEN = """async () => {
    const pictures = [...document.images];
    for (const picture of pictures) picture.loading = "eager";
    await Promise.allSettled(pictures.map((picture) => picture.decode()));
    return pictures.filter((picture) => !picture.naturalWidth).map((picture) => picture.src);
}"""
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter((one) => document.documentElement.scrollWidth > innerWidth && one.getBoundingClientRect().right > innerWidth)
    .map((one) => one.outerHTML.slice(0, 120))"""
TOO_SMALL = """() => [...document.querySelectorAll("button:not(.cell), input, select, nav a, header a:not(.skip), .button")]
    .map((one) => (one.type === "checkbox" ? one.closest("label") : one))
    .map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.height < 39.5 || box.width < 39.5))
    .map(([text, box]) => `${text} ${box.width}x${box.height}`)"""


@pytest.fixture(scope="module")
def site(maker: Callable[..., AtlasContent], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("www") / "deep" / "a site"
    write_site(maker(folder, "toy & tuned"), folder)
    return folder


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[str]:
    """Serves the site below a path of its own, as a page of a project is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site.parents[1]))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/deep/a%20site/"
        served.shutdown()


class Complaints(list[str]):
    """What a page's console says, and which of its requests fail."""

    def listen(self, page: Any) -> None:
        page.on("console", lambda said: self.append(f"{page.url}: {said.text}") if said.type != "log" else None)
        page.on("pageerror", lambda error: self.append(f"{page.url}: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", lambda got: self.append(f"{got.url}: {got.status}") if got.status >= 400 else None)

    def _failed(self, asked: Any) -> None:
        # Who leaves a page breaks off what it is still loading.
        if asked.failure != "net::ERR_ABORTED":
            self.append(f"{asked.url}: {asked.failure}")


@pytest.fixture
def page(browser: Any, site: Path) -> Iterator[Any]:
    """An empty page in a window of its own, which may not complain."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, color_scheme="light")
    context.set_default_timeout(20_000)
    opened = context.new_page()
    complaints = Complaints()
    complaints.listen(opened)
    opened.show = lambda name: opened.goto((site / name).as_uri())
    yield opened
    context.close()
    assert not complaints


def test_every_page_from_the_disk_fits_a_phone_and_lacks_no_picture(page: Any, site: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        assert page.evaluate(BROKEN) == [], path
        assert page.evaluate(TOO_WIDE) == [], path
        assert page.evaluate(TOO_SMALL) == [], path


def test_every_page_from_a_server_below_a_path_lacks_nothing(page: Any, site: Path, server: str) -> None:
    for path in sorted(site.rglob("*.html")):
        page.goto(server + path.relative_to(site).as_posix())
        assert page.evaluate(BROKEN) == [], path
    page.goto(server)
    page.keyboard.press("/")
    page.keyboard.type("tench")
    page.get_by_role("option").first.wait_for()


@pytest.mark.parametrize("name", KINDS)
def test_every_control_has_an_accessible_name(page: Any, name: str) -> None:
    page.show(name)
    page.keyboard.press("/")
    page.keyboard.type("1")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    told = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    page.keyboard.press("Escape")
    told += page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    roles = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in told if not node["ignored"]]
    controls = [(role, words) for role, words in roles if role in CONTROLS]
    assert {"button", "link", "combobox", "dialog"} <= {role for role, _ in controls}
    assert [role for role, words in controls if not words.strip()] == []
    assert {"main", "banner", "contentinfo"} <= {role for role, _ in roles}


def test_search_finds_as_it_is_typed_and_enter_goes_there(page: Any) -> None:
    page.show("units/conv1/0.html")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("zlutoucky")
    found = page.get_by_role("option")
    found.first.wait_for()
    assert found.count() == 1 and "Žluťoučký kůň" in found.first.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/units/head/2.html")


def test_search_shows_names_as_they_are(page: Any) -> None:
    page.show("index.html")
    page.get_by_role("combobox").fill("<b>")
    page.get_by_role("option").first.wait_for()
    assert "<b>\"'&</b>" in page.get_by_role("option").first.inner_text()


def test_arrow_keys_choose_among_what_was_found(page: Any) -> None:
    page.show("index.html")
    page.get_by_role("combobox").fill("block")
    page.get_by_role("option").nth(2).wait_for()
    titles = page.get_by_role("option").locator("b").all_inner_texts()
    assert titles[:2] == ["block.0/a", "block.1"]
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("option", selected=True).locator("b").inner_text() == "block.1"
    page.keyboard.press("Enter")
    page.wait_for_url("**/layers/block.1.html")


def test_a_unit_is_found_by_layer_and_number_and_what_is_not_there_is_not_found(page: Any) -> None:
    page.show("index.html")
    field = page.get_by_role("combobox")
    field.fill("block.0/a:7")
    page.get_by_role("option").first.wait_for()
    assert page.get_by_role("option").locator("b").all_inner_texts() == ["block.0/a:7"]
    field.fill("no such thing")
    page.get_by_text("Nothing found").wait_for()
    page.keyboard.press("Enter")
    assert page.url.endswith("index.html")
    page.keyboard.press("Escape")
    assert field.get_attribute("aria-expanded") == "false"


def test_arrow_keys_lead_from_unit_to_unit_and_up(page: Any) -> None:
    page.show("units/conv1/1.html")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/units/conv1/2.html")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**/units/conv1/1.html")
    page.mouse.wheel(0, 300)
    page.wait_for_function("scrollY > 100")
    page.keyboard.press("ArrowUp")  # scrolls
    page.wait_for_function("scrollY < 300")
    page.keyboard.press("u")
    page.wait_for_url("**/layers/conv1.html")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/layers/block.0=2Fa.html")
    page.keyboard.press("ArrowUp")
    page.wait_for_url("**/index.html")


def test_layers_are_reached_from_the_network_by_keys(page: Any) -> None:
    page.show("index.html")
    link = page.get_by_role("link", name="block.1", exact=True)
    link.focus()
    assert page.locator(".line.lit").count() == 3  # two that it reads, one that reads it
    page.keyboard.press("Enter")
    page.wait_for_url("**/layers/block.1.html")


def test_a_question_mark_shows_the_keys(page: Any) -> None:
    page.show("layers/conv1.html")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    dialog.wait_for()
    page.keyboard.press("ArrowRight")  # belongs to the dialog
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.url.endswith("layers/conv1.html")


def test_the_theme_follows_the_system_until_it_is_turned_and_then_stays(page: Any) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    page.show("index.html")
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    assert light != dark
    page.emulate_media(color_scheme="light")
    button = page.get_by_role("button", name="Dark colours")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    page.show("units/conv1/1.html")
    assert page.evaluate(background) == dark
    page.reload()
    assert page.evaluate(background) == dark
    page.keyboard.press("t")
    assert page.evaluate(background) == light


def test_a_layer_is_sorted_and_resized_and_its_grid_obeys_arrow_keys(page: Any) -> None:
    page.show("layers/head.html")
    numbers = lambda: page.locator("#units > li").evaluate_all("items => items.map((one) => Number(one.dataset.n))")  # noqa: E731
    assert numbers() == [0, 1, 2, 3, 4, 5]
    order = page.get_by_label("Order")
    order.select_option("d")
    assert numbers()[0] == 3
    order.select_option("t")
    assert numbers()[-1] == 4  # the one without a name
    order.select_option("c")
    assert numbers() == [5, 4, 3, 2, 1, 0]
    page.get_by_label("Size").fill("200")
    assert page.locator("#units img").first.bounding_box()["width"] >= 199
    page.reload()
    assert numbers()[0] == 5
    page.locator("#units a").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**/units/head/4.html")


def test_a_layer_shows_the_other_networks_units(page: Any) -> None:
    page.show("layers/conv1.html")
    assert page.locator("#units img").first.get_attribute("src").endswith("/0.png")
    page.get_by_label("toy & tuned").check()
    assert page.locator("#units img").first.get_attribute("src").endswith("/0-compared.png")
    assert page.evaluate(BROKEN) == []


def test_a_sheet_falls_apart_into_its_pictures_and_a_portrait_shows_its_pixels_when_asked(page: Any) -> None:
    page.show("units/conv1/1.html")
    page.get_by_alt_text("Pictures that all excite conv1:1, 4 of 4").scroll_into_view_if_needed()
    assert page.get_by_alt_text("Pictures that all excite conv1:1, ").count() == 4
    portrait = page.locator(".portrait img").first.bounding_box()
    assert portrait["width"] % 24 == 0 and portrait["width"] == portrait["height"]
    rendering = "getComputedStyle(document.querySelector('.portrait img')).imageRendering"
    assert page.evaluate(rendering) == "auto"
    page.get_by_label("Show pixels").check()
    page.reload()
    assert page.evaluate(rendering) == "pixelated"


def test_a_map_is_moved_and_zoomed_by_keys_and_mouse_and_tells_of_its_cells(page: Any) -> None:
    page.show("activation-atlas/block.0=2Fa.html")
    width = lambda: page.locator("#plane").evaluate("one => one.getBoundingClientRect().width")  # noqa: E731
    whole = width()
    cell = page.locator(".cell[data-row='3'][data-column='5']")
    cell.hover()
    told = page.locator("#cell")
    assert "80 activations" in told.inner_text()
    assert "tench" in told.inner_text() and "a b&'\"<i>.jpg" in told.inner_text()
    cell.click()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[document.activeElement.dataset.row, document.activeElement.dataset.column]") == ["4", "5"]
    assert "activation-atlas/block.0" in page.url
    page.keyboard.press("+")
    assert width() > whole
    page.keyboard.press("0")
    assert width() == pytest.approx(whole)
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"document.getElementById('plane').getBoundingClientRect().width > {whole * 1.2}")
    left = page.locator("#plane").bounding_box()["x"]
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 200, steps=3)
    page.mouse.up()
    assert page.locator("#plane").bounding_box()["x"] == pytest.approx(left + 60, abs=1)
    size = cell.locator("img").evaluate("one => getComputedStyle(one).transform")
    page.get_by_label("Size by number of activations").check()
    page.wait_for_function("getComputedStyle(document.querySelector('.cell img')).transform !== 'none'")
    assert size == "none"


def test_two_fingers_zoom_a_map(page: Any) -> None:
    page.show("activation-atlas/block.0=2Fa.html")
    width = lambda: page.locator("#plane").evaluate("one => one.getBoundingClientRect().width")  # noqa: E731
    whole = width()
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    points = lambda apart: [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]  # noqa: E731
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points(40)})
    for apart in (60, 80, 100):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points(apart)})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert width() == pytest.approx(whole * 2.5, rel=0.15)


def test_without_scripts_everything_is_there_but_the_controls(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto((site / "units/conv1/1.html").as_uri())
    assert opened.locator(".portrait img").first.is_visible()
    assert opened.get_by_role("link", name="Next unit, 2").is_visible()
    assert not opened.locator("#search").is_visible() and not opened.locator("#theme").is_visible()
    context.close()


def test_nothing_moves_where_motion_is_not_wanted(page: Any) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.show("activation-atlas/block.0=2Fa.html")
    assert page.locator(".cell img").first.evaluate("one => getComputedStyle(one).transitionProperty") == "none"


def test_a_printed_unit_is_the_unit_alone(page: Any) -> None:
    page.emulate_media(media="print")
    page.show("units/conv1/1.html")
    assert page.locator(".portrait img").first.is_visible()
    assert not page.locator("header").is_visible() and not page.locator(".beside").is_visible()
