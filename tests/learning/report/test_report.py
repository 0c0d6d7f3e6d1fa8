"""The report of a run: one page that shows what is there, and leaves out what is not."""

import base64
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from impasto.errors import UsageError
from impasto.learning.baselines import Baseline, save
from impasto.learning.intervals import Interval
from impasto.learning.predictions import Predictions
from impasto.learning.report import report
from impasto.runs.directory import RunDirectory

NAN = float("nan")
ODD = '<img src=x onerror=alert(1)> & "q" \'s.png'


def predictions(folder: Path, k: int, n: int, wrong: float = 0.2) -> Predictions:
    rng = np.random.default_rng(0)
    targets = np.arange(n) % k
    logits = rng.normal(0, 1, (n, k))
    logits[np.arange(n), np.where(rng.random(n) < wrong, (targets + 1) % k, targets)] += 9
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    paths = []
    for i in range(n):
        path = folder / (ODD if i == 1 else f"{i}.png")
        Image.new("RGB", (40, 24), (i % 256, 60, 90)).save(path)
        paths.append(str(path))
    splits = tuple("train" if i % 3 == 0 else "valid" if i % 3 == 2 else "test" for i in range(n))
    names = tuple("<b>odd & class</b>" if i == 0 else f"class {i}" for i in range(k))
    return Predictions(names, logs.astype("f4"), tuple(paths), targets, (None,) * n, splits)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    def make(k: int = 2, n: int = 90, **changes: object) -> Path:
        (tmp_path / "pictures").mkdir(exist_ok=True)
        wrong = changes.pop("wrong", 0.2)
        one = replace(predictions(tmp_path / "pictures", k, n, float(str(wrong))), **changes)  # type: ignore[arg-type]
        run = RunDirectory.create(
            tmp_path / "run", verb="train", options={"size": 32, "fit": "pad", "name": "<i>x</i>"}, manifest={"seed": 0}
        )
        one.save(run.path / "predictions.parquet")
        return run.path

    return make


class Checked(HTMLParser):
    """Tags that are closed in order, and what they have."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(page: Path) -> tuple[str, Checked]:
    text = page.read_text()
    parser = Checked()
    parser.feed(text)
    assert parser.open == []
    return text, parser


def test_the_whole_page_is_one_file_that_asks_for_no_other(make_run: Callable[..., Path]) -> None:
    run = make_run(k=3, groups=tuple(f"driver {i % 5}" for i in range(90)))
    save_file(
        {"embeddings": np.random.default_rng(0).normal(size=(90, 8)).astype("f2")}, run / "embeddings.safetensors"
    )
    save([Baseline("majority", "about <this>", Interval(0.3, 0.2, 0.4), 1.1)], run / "baselines.json")
    found = [{"check": "duplicates", "severity": "error", "message": f"{ODD} twice"}]
    (run / "audit.json").write_text(json.dumps(found))
    records = [{"kind": "step", "stage": 0, "step": i, "loss": 1 / (i + 1), "learning_rate": 0.1} for i in range(9)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    page = report(run)
    assert page == run / "report" / "index.html"
    text, parser = checked(page)
    for tag, attributes in parser.seen:
        assert tag not in ("script", "link", "iframe", "i2")
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/jpeg;base64,")), value
        assert tag != "img" or attributes.get("alt")
    assert "http://" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", text) and "https://" not in text
    assert "onerror=alert" in text and "<img src=x" not in text and "<b>odd" not in text and "<i>x" not in text
    for words in ("Audit of the data", "Groups", "majority", "nearest training picture", "Calibration", "Learning"):
        assert words in text
    names = {path.name for path in page.parent.iterdir()}
    assert {"index.html", "confusion.png", "reliability.png", "classes.png", "groups.png", "loss.png"} <= names
    first = next(one["href"] for tag, one in parser.seen if tag == "image")
    assert first and Image.open(io.BytesIO(base64.b64decode(first.partition(",")[2]))).size == (176, 106)


def test_what_a_run_does_not_have_is_left_out(make_run: Callable[..., Path]) -> None:
    text, _ = checked(report(make_run()))
    for words in ("Audit of the data", 'id="groups"', "nearest training picture", 'id="learning"', "The best baseline"):
        assert words not in text
    assert "of 30 test pictures of 2 classes" in text


def test_without_a_test_split_the_page_says_that_it_judges_by_validation(make_run: Callable[..., Path]) -> None:
    text, _ = checked(report(make_run(splits=("train", "valid") * 45)))
    assert "of 45 validation pictures" in text and "no labelled test split" in text


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        ((0.1, 0.0, 0.2), "gain +0.100 (+0.000 to +0.200)"),
        ((0.1, NAN, NAN), "gain +0.100."),
        ((NAN,) * 3, "cannot be told"),
    ],
)
def test_a_gain_without_an_interval_is_no_nan(
    gain: tuple[float, float, float], words: str, make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from impasto.learning.report import contents

    real = contents.fit
    monkeypatch.setattr(contents, "fit", lambda rows: replace(real(rows), gain=Interval(*gain)))
    page = report(make_run()).read_text()
    assert words in page and "+nan" not in page


def test_five_right_pictures_and_no_wrong_one_are_enough(make_run: Callable[..., Path]) -> None:
    text, _ = checked(report(make_run(n=15, wrong=0)))
    assert "of 5 test pictures" in text and ">None.</p>" in text
    assert "100.0" in text


def test_pictures_that_are_gone_are_said_to_be(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(n=30)
    shutil.rmtree(tmp_path / "pictures")
    text, _ = checked(report(run))
    assert "the file is not there any more" in text


def test_boxes_are_drawn_where_they_are(make_run: Callable[..., Path]) -> None:
    true = np.tile(np.array([0.25, 0.4, 0.75, 0.6], "f4"), (30, 1))
    true[4] = np.nan
    _, parser = checked(report(make_run(n=30, boxes=np.full((30, 4), [0, 0.2, 1, 0.8], "f4"), true_boxes=true)))
    boxes = [one for tag, one in parser.seen if tag == "rect" and one.get("class") in ("true", "said")]
    # padded to a square of 32, the picture of 40 × 24 is 32 × 19: its thumbnail is 176 × 106
    widths = {one["class"]: float(one["width"] or 0) for one in boxes}
    assert widths["true"] == pytest.approx(88, abs=1) and widths["said"] == pytest.approx(176, abs=1)


def test_a_page_of_37_classes_stays_small(make_run: Callable[..., Path]) -> None:
    page = report(make_run(k=37, n=37 * 6))
    text, _ = checked(page)
    assert page.stat().st_size < 5e6 and "Most confused" in text and "Among the first five" in text


def test_no_run_and_no_predictions_are_said_in_a_line(make_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run in"):
        report(tmp_path / "nothing")
    run = make_run(n=15, splits=("train",) * 15)
    with pytest.raises(UsageError, match="no labelled validation or test pictures"):
        report(run)
    (run / "predictions.parquet").unlink()
    with pytest.raises(UsageError, match="no predictions"):
        report(run)
    assert not (run / "report").exists()


def test_a_browser_shows_the_page_without_a_complaint(make_run: Callable[..., Path], tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no chromium to show the page in: apt-get install chromium")
    page = report(make_run(n=30))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=400,900"]
    shot = tmp_path / "shot.png"
    told = subprocess.run(
        [browser, *flags, f"--screenshot={shot}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in told.stderr, told.stderr
    assert len(Image.open(shot).convert("RGB").getcolors(10**6)) > 50
