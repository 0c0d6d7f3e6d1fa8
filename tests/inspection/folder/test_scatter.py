"""The picture scatter in a real browser: without errors or hosts, by mouse and by keyboard."""

from pathlib import Path
from typing import Any

import pytest

from impasto.inspection.folder.embed import FolderEmbedding, embed


@pytest.fixture(scope="module")
def made(pets: Path) -> FolderEmbedding:
    return embed(pets, network="pocket", size=48, methods=("pca", "tsne"), perplexity=5)


@pytest.fixture
def page(made: FolderEmbedding, browser: Any, problems: Any, tmp_path: Path) -> Any:
    file = made.save(tmp_path / "scatter <b>.html")
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    page.wrong = problems(page)
    page.goto(file.as_uri())
    page.wait_for_selector("#plot[data-ready=true]")
    yield page
    assert page.wrong == []
    page.close()


def painted(page: Any) -> int:
    """How many pixels of the canvas are not empty."""
    return page.evaluate(
        """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const plot = document.getElementById('plot');
            const all = plot.getContext('2d').getImageData(0, 0, plot.width, plot.height).data;
            let count = 0;
            for (let i = 3; i < all.length; i += 4) count += all[i] > 0;
            done(count);
        })))"""
    )


def test_two_kinds_of_pictures_are_laid_apart(made: FolderEmbedding) -> None:
    assert made.tap == "relu3_2" and set(made.labels) == {"spots", "stripes"}
    assert all(one.agreement == 1 for one in made.embeddings)


def test_all_controls_have_names_and_pictures_are_painted(page: Any, unnamed: Any) -> None:
    assert unnamed(page) == []
    assert painted(page) > 18 * 100
    assert page.get_by_role("button", name="t-SNE").get_attribute("aria-pressed") in ("true", "false")


def test_the_other_layout_moves_the_pictures_there(page: Any) -> None:
    title = page.locator("#method").text_content()
    other = "PCA" if title == "t-SNE" else "t-SNE"
    page.get_by_role("button", name=other).click()
    page.wait_for_selector("#plot[data-moving=false]")
    assert page.locator("#method").text_content() == other
    assert "trustworthiness" in page.locator("#figures").text_content()


def test_the_keyboard_goes_from_picture_to_picture(page: Any) -> None:
    page.locator("#plot").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#name").text_content()
    assert first.endswith(".png") and "label s" in page.locator("#label").text_content()
    names = {first}
    for key in ("ArrowLeft", "ArrowUp", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
        names.add(page.locator("#name").text_content())
    assert len(names) > 1
    before = painted(page)
    for _ in range(3):
        page.keyboard.press("+")
    assert painted(page) != before
    page.keyboard.press("0")
    assert painted(page) == before
    page.keyboard.press("Escape")
    assert page.locator("#name").text_content() == "Point at a picture"


def test_pointing_at_a_picture_shows_it_large(page: Any) -> None:
    box = page.locator("#plot").bounding_box()
    x, y = page.evaluate(
        """() => { const data = JSON.parse(document.getElementById('data').textContent);
            const p = data.layouts[data.start].points, plot = document.getElementById('plot');
            const scale = Math.min(plot.clientWidth, plot.clientHeight) / 2.16;
            return [p[0] * scale + plot.clientWidth / 2, p[1] * scale + plot.clientHeight / 2]; }"""
    )
    page.mouse.move(box["x"] + x, box["y"] + y)
    assert page.locator("#name").text_content().endswith(".png")
    assert "Picture s" in page.locator("#large").get_attribute("aria-label")
    page.mouse.wheel(0, -300)
    page.mouse.down()
    page.mouse.move(box["x"] + x + 50, box["y"] + y + 20, steps=4)
    page.mouse.up()
    assert painted(page) > 0


def test_search_and_labels_leave_the_others_pale(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("spots/3")
    assert page.locator("#count").text_content() == "1 found"
    page.keyboard.press("Enter")
    assert page.locator("#name").text_content() == "spots/3.png"
    page.locator("#search").fill("")
    only = page.get_by_role("button", name="Only label stripes, 9 pictures")
    only.click()
    assert only.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Colour by label").click()
    assert painted(page) > 0


def test_a_phone_shows_plot_and_picture_without_scrolling_aside(
    made: FolderEmbedding, browser: Any, problems: Any, tmp_path: Path
) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 780}, has_touch=True, color_scheme="dark")
    wrong = problems(phone)
    phone.goto(made.save(tmp_path / "page.html").as_uri())
    phone.wait_for_selector("#plot[data-ready=true]")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    box = phone.locator("#plot").bounding_box()
    assert box["height"] > 250
    phone.locator("#plot").tap()
    assert painted(phone) > 0 and wrong == []
    phone.close()


def test_names_are_shown_and_never_run(pets: Path, tmp_path: Path, browser: Any, problems: Any) -> None:
    evil = tmp_path / "<img src=x onerror=alert(1)>"
    evil.mkdir()
    for number, path in enumerate(sorted((pets / "spots").iterdir())[:5]):
        (evil / f"</script><script>alert({number})</script>.png".replace("/", "∕")).write_bytes(path.read_bytes())
    page = browser.new_page()
    wrong = problems(page)
    page.on("dialog", lambda dialog: wrong.append("a script ran"))
    page.goto(embed(evil, network="pocket", size=32, methods="pca").save(tmp_path / "page.html").as_uri())
    page.wait_for_selector("#plot[data-ready=true]")
    assert wrong == [] and "<img src=x" in page.locator("h1").text_content()
    page.close()
