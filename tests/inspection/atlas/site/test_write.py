"""What is written of a site, what is kept, what is removed, and that no link in it leads nowhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from impasto.errors import ImpastoError, UsageError
from impasto.inspection.atlas.content import AtlasContent, Link
from impasto.inspection.atlas.site.write import LIST, write_site

Make = Callable[..., AtlasContent]


@pytest.fixture(scope="module", params=["", "toy & tuned"], ids=["alone", "compared"])
def site(request: pytest.FixtureRequest, maker: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(maker(folder, request.param), folder)
    return folder


class Page(HTMLParser):
    """The tags of a page, and the words of its title and heading."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("title", "h1"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.words[tag] = self.words.get(tag, "") + data


def pages(folder: Path) -> Iterator[tuple[Path, Page]]:
    for path in sorted(folder.rglob("*.html")):
        yield path, Page(path)


def test_there_is_a_page_for_the_network_each_layer_each_unit_and_each_atlas(maker: Make, tmp_path: Path) -> None:
    content = maker(tmp_path)
    written = set(write_site(content, tmp_path).written)
    units = {f"{unit.channel}.html" for unit in content.layers[1].units}
    assert {path.name for path in (tmp_path / "units" / "block.0=2Fa").iterdir()} == units
    assert len(list((tmp_path / "units").rglob("*.html"))) == sum(layer.channels for layer in content.layers)
    assert {"index.html", "layers/conv1.html", "activation-atlas/block.1.html"} <= written
    assert "compare.html" not in written
    assert (tmp_path / "assets/atlas.css").exists()


def test_every_address_in_a_page_leads_to_a_file(site: Path) -> None:
    missing = []
    for path, page in pages(site):
        for tag, attributes in page.tags:
            for name in ("href", "src", "data-other"):
                link = attributes.get(name)
                if link is None or link.startswith(("#", "data:")):
                    continue
                assert not re.match(r"[a-z]+:|/", link), f"{path}: <{tag} {name}={link}> is not relative"
                if not (path.parent / unquote(link)).is_file():
                    missing.append(f"{path.relative_to(site)}: {link}")
    assert not missing


def test_nothing_is_asked_of_another_host(site: Path) -> None:
    for path in (path for path in site.rglob("*") if path.suffix in (".html", ".css", ".js")):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"""(?:https?:)?//[\w-]+\.\w+|@import|url\(""", text), path


def test_pages_say_their_language_and_have_titles_of_their_own_one_heading_and_landmarks(site: Path) -> None:
    titles = []
    for path, page in pages(site):
        tags = [tag for tag, _ in page.tags]
        assert page.tags[0] == ("html", {"lang": "en", "data-root": "../" * (len(path.relative_to(site).parts) - 1)})
        assert tags.count("h1") == 1 and page.words["h1"].strip(), path
        assert {"header", "main", "nav", "footer"} <= {*tags, "nav"}
        titles.append(page.words["title"])
    assert len(set(titles)) == len(titles)


def test_every_picture_has_words(site: Path) -> None:
    for path, page in pages(site):
        for tag, attributes in page.tags:
            if tag == "img":
                # Only the tiles of a mosaic have none: the mosaic has them.
                assert attributes.get("alt") or "grid-area" in (attributes.get("style") or ""), (path, attributes)
                assert attributes.get("src"), path


def test_a_unit_that_is_not_rendered_yet_has_a_placeholder(site: Path) -> None:
    text = (site / "units/conv1/2.html").read_text()
    assert "not rendered yet" in text
    assert 'src=""' not in text and 'src="../../"' not in text


def test_names_are_shown_and_never_run(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<b>\"'&" not in text and "<script>alert" not in text, path
    assert "&lt;script&gt;alert(1)" in (site / "units/head/3.html").read_text()
    assert "</script" not in (site / "assets/search-index.js").read_text()


def test_the_index_of_the_search_knows_every_unit_its_name_and_its_picture(site: Path) -> None:
    script = (site / "assets/search-index.js").read_text()
    index = json.loads(script.removeprefix("window.atlasIndex=").rstrip(";\n"))
    head = index["layers"][-1]
    assert head["units"] == 6
    assert head["names"]["2"] == "Žluťoučký kůň 🐎"
    assert (site / unquote(head["pictures"][0])).is_file() and head["pictures"][2] == ""
    assert (site / head["unit"].replace("{}", "5")).is_file()


def test_pictures_that_follow_a_rule_are_named_by_it(maker: Make, tmp_path: Path) -> None:
    content = maker(tmp_path)
    layer = content.layers[0]
    units = tuple(replace(unit, picture=f"p 1/{unit.channel}.png") for unit in layer.units)
    write_site(replace(content, layers=(replace(layer, units=units),)), tmp_path)
    script = (tmp_path / "assets/search-index.js").read_text()
    assert '"pictures":"p%201/{}.png"' in script and '"units":6' in script


def test_a_site_of_which_nothing_changed_is_left_alone(maker: Make, tmp_path: Path) -> None:
    content = maker(tmp_path)
    first = write_site(content, tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    second = write_site(content, tmp_path)
    assert (second.written, second.removed) == ((), ())
    assert set(second.kept) == set(first.written)
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}


def test_only_pages_that_show_what_changed_are_written(maker: Make, tmp_path: Path) -> None:
    content = maker(tmp_path)
    write_site(content, tmp_path)
    *others, head = content.layers
    units = (*head.units[:-1], replace(head.units[-1], dead=0.123))
    written = write_site(replace(content, layers=(*others, replace(head, units=units))), tmp_path).written
    assert set(written) == {"units/head/5.html", "layers/head.html"}


def test_pages_of_an_earlier_build_are_removed_and_the_files_of_others_are_not(maker: Make, tmp_path: Path) -> None:
    content = maker(tmp_path, "other")
    write_site(content, tmp_path)
    (tmp_path / "layers/notes.html").write_text("mine")
    fewer = replace(content, layers=content.layers[:1], activation_atlases=(), compared="")
    removed = write_site(fewer, tmp_path).removed
    assert {"compare.html", "layers/head.html", "units/head/0.html"} <= set(removed)
    assert not (tmp_path / "units/head").exists() and not (tmp_path / "compare.html").exists()
    assert (tmp_path / "layers/notes.html").read_text() == "mine"
    assert (tmp_path / content.layers[-1].units[0].picture).exists()


def test_a_list_that_was_tampered_with_removes_nothing_outside_the_site(maker: Make, tmp_path: Path) -> None:
    outside = tmp_path / "letter.html"
    outside.write_text("dear")
    site = tmp_path / "site"
    content = maker(site)
    write_site(content, site)
    inside = content.layers[0].units[0].picture
    (site / LIST).write_text(json.dumps(["../letter.html", str(outside), inside, 7, "index.html"]))
    write_site(content, site)
    assert outside.exists() and (site / inside).exists()


def test_a_site_of_something_else_is_not_written_over(tmp_path: Path, maker: Make) -> None:
    (tmp_path / "index.html").write_text("home")
    with pytest.raises(UsageError, match="holds the index.html of something else: choose another folder"):
        write_site(maker(tmp_path), tmp_path)
    assert (tmp_path / "index.html").read_text() == "home"


def test_a_build_that_failed_is_taken_up_by_the_next(tmp_path: Path, maker: Make) -> None:
    content = maker(tmp_path)
    (tmp_path / "units").write_text("in the way")
    with pytest.raises(ImpastoError, match="units.* cannot be made"):
        write_site(content, tmp_path)
    assert not (tmp_path / "index.html").exists()
    (tmp_path / "units").unlink()
    write_site(content, tmp_path)
    assert (tmp_path / "index.html").exists()


def test_what_is_no_number_is_not_shown(tmp_path: Path, maker: Make) -> None:
    content = maker(tmp_path, "other")
    layer = content.layers[0]
    never = tuple(Link(layer.tap, link.channel, math.nan) for link in layer.units[0].neighbours)
    units = (replace(layer.units[0], change=math.nan, neighbours=never), *layer.units[1:])
    write_site(replace(content, layers=(replace(layer, units=units),)), tmp_path)
    assert not [path for path in tmp_path.rglob("*.html") if re.search(r"\bnan\b", path.read_text(encoding="utf-8"))]


def test_an_atlas_of_nothing_is_a_page(tmp_path: Path) -> None:
    write_site(AtlasContent("empty", "", ""), tmp_path)
    assert "<b>0</b> units" in (tmp_path / "index.html").read_text()
