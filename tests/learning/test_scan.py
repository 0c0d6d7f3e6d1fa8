"""Scan: folders, tables, what is in them and what is wrong with them."""

import csv
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from impasto.errors import UsageError
from impasto.learning.manifest import Manifest
from impasto.learning.scan import Columns, list_pictures, read_data, scan


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (24, 16), **how: object) -> Path:
    """A picture of noise (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(levels).save(path, **how)
    return path


def tree(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        draw(folder / name, seed)
    return folder


def table(path: Path, *rows: dict[str, object], separator: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_class_folders_are_labels(tmp_path: Path) -> None:
    manifest = scan(tree(tmp_path, "cat/1.png", "cat/2.PNG", "dog/1.jpg"))
    assert manifest.paths == ["cat/1.png", "cat/2.PNG", "dog/1.jpg"]
    assert manifest.column("label") == ["cat", "cat", "dog"]
    assert manifest.column("split") == [None] * 3
    assert manifest.column("width") == [24] * 3 and manifest.column("height") == [16] * 3
    assert manifest.column("sha256")[0] == hashlib.sha256((tmp_path / "cat/1.png").read_bytes()).hexdigest()
    assert all(len(one) == 16 for one in manifest.column("phash"))


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Valid"])
def test_folders_named_like_splits_are_splits(tmp_path: Path, valid: str) -> None:
    manifest = scan(
        tree(tmp_path, "train/a/1.png", "train/b/1.png", f"{valid}/a/1.png", "test/1.png", "unlabelled/1.png")
    )
    rows = {row["path"]: (row["split"], row["label"]) for row in manifest.table.to_pylist()}
    assert rows == {
        "train/a/1.png": ("train", "a"),
        "train/b/1.png": ("train", "b"),
        f"{valid}/a/1.png": ("valid", "a"),
        "test/1.png": ("test", None),
        "unlabelled/1.png": ("unlabelled", None),
    }


def test_a_flat_folder_is_unlabelled(tmp_path: Path) -> None:
    manifest = scan(tree(tmp_path, "1.png", "2.png"))
    assert manifest.column("split") == ["unlabelled"] * 2 and manifest.classes == ()


def test_a_layout_says_what_the_levels_are(tmp_path: Path) -> None:
    tree(tmp_path, "photo/dog/1.png", "photo/cat/1.png", "sketch/dog/1.png")
    manifest = scan(tmp_path, layout="{group}/{label}")
    assert manifest.column("group") == ["photo", "photo", "sketch"]
    assert manifest.column("label") == ["cat", "dog", "dog"]
    assert scan(tmp_path, layout="*/{label}").column("group") == [None] * 3


def test_hidden_files_links_and_other_files(tmp_path: Path) -> None:
    real = draw(tmp_path / "elsewhere" / "real.png", 9)
    folder = tree(tmp_path / "pictures", "cat/1.png", "dog/1.png")
    for name in (".DS_Store", "cat/.DS_Store", "cat/._1.png", "dog/notes.txt", ".cache/x/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no picture")
    (folder / "cat" / "link.png").symlink_to(real)
    (folder / "bird").symlink_to(real.parent)
    (folder / "bird" / "loop").symlink_to(folder / "bird")
    manifest = scan(folder)
    assert manifest.paths == ["bird/real.png", "cat/1.png", "cat/link.png", "dog/1.png"]


def test_sizes_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(tmp_path / "a" / "1.jpg", exif=exif)
    manifest = scan(tmp_path)
    assert (manifest.column("width"), manifest.column("height")) == ([16], [24])


def test_broken_pictures_are_rows_without_size(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.jpg", "b/1.jpg")
    whole = (tmp_path / "a/1.jpg").read_bytes()
    (tmp_path / "a/2.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a/3.jpg").write_bytes(b"")
    manifest = scan(tmp_path)
    assert [one is None for one in manifest.column("phash")] == [False, True, True, False]
    assert [one is None for one in manifest.column("width")] == [False, True, True, False]
    assert manifest.column("sha256")[2] == hashlib.sha256(b"").hexdigest()


def test_a_number_sign_in_a_name_is_no_place_in_an_idx_file(tmp_path: Path) -> None:
    from impasto.learning.audit import audit
    from impasto.learning.pictures import Preprocessing, read_pixels

    tree(tmp_path, *(f"{label}/{name}" for label in "ab" for name in ("pic#1.jpg", "x#2.png", "3.png")))
    manifest = scan(tmp_path)
    assert [manifest.file(row).is_file() for row in range(6)] == [True] * 6
    assert read_pixels(manifest, 0, Preprocessing(8)).shape == (3, 8, 8)
    (tmp_path / "a" / "pic#1.jpg").unlink()
    broken = next(one for one in audit(manifest) if one.check == "broken files")
    assert [manifest.paths[row] for row in broken.rows] == ["a/pic#1.jpg"]
    assert "pic#1.jpg cannot be read" in broken.message


def test_a_name_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.png")
    os.rename(tmp_path / "a" / "1.png", os.fsencode(tmp_path / "a") + b"/caf\xe9.png")
    with pytest.raises(UsageError, match=r"a/caf\\xe9\.png has a name that is not in UTF-8: rename it") as caught:
        scan(tmp_path)
    str(caught.value).encode()


@pytest.mark.parametrize("box", [(0, 0, 27, 16), (-3, 0, 24, 16), (0, 0, 24, 19), (30, 20, 40, 30)])
def test_a_box_outside_its_picture_is_one_line(tmp_path: Path, box: tuple[int, ...]) -> None:
    tree(tmp_path, "1.png", "2.png")
    rows = [{"file": "1.png", "x1": -2, "y1": 0, "x2": 26, "y2": 18}]
    assert len(scan(table(tmp_path / "list.csv", *rows))) == 1
    rows.append({"file": "2.png"} | dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)))
    with pytest.raises(UsageError, match=r"list\.csv, line 3: the box .* lies outside 2\.png, which is 24×16 pixels"):
        scan(table(tmp_path / "list.csv", *rows))


def test_pictures_are_listed_unopened_whatever_folders_they_are_in(tmp_path: Path) -> None:
    folder = tmp_path / "test"
    for name in ("1.png", "a/2.png", "a/b/c/3.jpg", "train/4.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not looked at")
    assert list_pictures(folder).paths == ["1.png", "a/2.png", "a/b/c/3.jpg", "train/4.png"]
    rows = [{"image": "2.png", "class": "a", "split": "of some kind"}]
    assert list_pictures(table(folder / "list.csv", *rows)).paths == ["a/2.png"]
    (tmp_path / "one.jpg").touch()
    for name, words in (("nothing", "does not exist"), ("one.jpg", "no pictures that can be listed")):
        with pytest.raises(UsageError, match=words):
            list_pictures(tmp_path / name)


@pytest.mark.parametrize(
    "names, layout, words",
    [
        (["a/x/1.png", "b/x/1.png"], "auto", r"`impasto data scan \S+ --layout '\{group\}/\{label\}'`, and give that"),
        (["a/x/1.png", "b/y/1.png"], "auto", r"--layout '\{label\}/\{group\}'"),
        (["train/a/x/1.png", "train/b/x/1.png"], "auto", r"--layout '\{split\}/\{group\}/\{label\}'"),
        (["a/1.png", "1.png"], "auto", "different depths"),
        (["train/a/1.png", "models/1.png"], "auto", "splits, beside models"),
        (["a/1.png"], "{split}/{label}", "does not fit the layout"),
        (["a/1.png"], "{split}", "has a split 'a'"),
        (["a/1.png"], "{class}", "'{class}' is no level"),
        (["a/b/1.png"], "{label}/{label}", "names label twice"),
    ],
)
def test_a_layout_that_is_not_clear_is_one_line(tmp_path: Path, names: list[str], layout: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        scan(tree(tmp_path, *names), layout=layout)


def test_empty_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no pictures: is it the right folder"):
        scan(tmp_path)
    tree(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "bird").mkdir()
    with pytest.raises(UsageError, match="class folder .*bird holds no pictures"):
        scan(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        scan(tmp_path / "nothing")
    with pytest.raises(UsageError, match="no data that can be scanned"):
        scan(tmp_path / "cat" / "1.png")


def test_a_table_is_read_by_the_usual_names(tmp_path: Path) -> None:
    tree(tmp_path, "images/1.png", "images/2.png")
    rows = [
        {"Image": "1.png", "breed": "pug", "subject": "p1", "set": "", "xmin": 1, "ymin": 2, "xmax": 9.5, "ymax": 8},
        {"Image": "2.png", "breed": "007", "subject": "p2", "set": "", "xmin": "", "ymin": "", "xmax": "", "ymax": ""},
    ]
    manifest = scan(table(tmp_path / "list.csv", *rows, separator=";"))
    assert manifest.paths == ["images/1.png", "images/2.png"]
    assert manifest.column("label") == ["pug", "007"]
    assert manifest.column("group") == ["p1", "p2"]
    assert manifest.column("box") == [[1.0, 2.0, 9.5, 8.0], None]
    assert manifest.file(0).is_file()


def test_columns_can_be_named(tmp_path: Path) -> None:
    tree(tmp_path, "1.png", "2.png")
    rows = [{"where": f"{n}.png", "what": "ab"[n - 1], "label": "x", "fold": "val", "path": "?"} for n in (1, 2)]
    source = table(tmp_path / "list.csv", *rows)
    manifest = scan(source, columns=Columns(path="where", label="what", split="fold"))
    assert manifest.classes == ("a", "b") and manifest.column("split") == ["valid"] * 2
    with pytest.raises(UsageError, match="no column 'waht'.*what"):
        scan(source, columns=Columns(path="where", label="waht"))
    with pytest.raises(UsageError, match="split is 'a'"):
        scan(source, columns=Columns(path="where", split="what"))


def test_pictures_are_found_below_a_root_in_folders_of_labels(tmp_path: Path) -> None:
    tree(tmp_path / "there", "c0/1.png", "c1/2.png")
    rows = [{"subject": "p", "classname": f"c{n}", "img": f"{n + 1}.png"} for n in (0, 1)]
    source = table(tmp_path / "list.csv", *rows)
    assert scan(source, root=tmp_path / "there").paths == ["c0/1.png", "c1/2.png"]


def test_a_parquet_table_is_scanned_and_a_manifest_read(tmp_path: Path) -> None:
    tree(tmp_path, "1.png", "2.png")
    source = tmp_path / "list.parquet"
    pq.write_table(pa.table({"file": ["1.png", "2.png"], "label": [0, 1]}), source)
    manifest = read_data(source)
    assert manifest.classes == ("0", "1")
    manifest.having(group=["x", None]).save(tmp_path / "data.parquet")
    again = read_data(tmp_path / "data.parquet")
    assert again.column("group") == ["x", None] and again.root == manifest.root


@pytest.mark.parametrize(
    "rows, words",
    [
        (
            [{"image": "1.png"}, {"image": "gone.png"}, {"image": "lost.png"}],
            "2 of 3 pictures are not there.*gone.png.*--root",
        ),
        ([{"foo": "1.png"}], "no column of paths among foo: name it with --path-column"),
        ([{"image": "1.png", "label": "a"}, {"image": "", "label": "b"}], "line 3: there is no path"),
        ([{"image": "1.png", "x1": 1, "y1": 1, "x2": "wide", "y2": 3}], "line 2: the box 1, 1, wide, 3"),
        ([{"image": "1.png", "x1": 1, "y1": 1, "x2": "nan", "y2": 3}], "is not four numbers"),
        ([{"image": "1.png", "x1": 1, "y1": 1, "x2": "inf", "y2": 3}], "is not four numbers"),
        ([{"image": "1.png", "x1": 5, "y1": 1, "x2": 2, "y2": 3}], "turned around"),
    ],
)
def test_a_wrong_table_is_one_line(tmp_path: Path, rows: list[dict[str, object]], words: str) -> None:
    tree(tmp_path, "1.png")
    with pytest.raises(UsageError, match=words):
        scan(table(tmp_path / "list.csv", *rows))


def test_a_table_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("image,label\ncaf\xe9.png,x\n".encode("latin-1"))
    (tmp_path / "empty.csv").write_text("image,label\n")
    (tmp_path / "no.parquet").write_bytes(b"PAR1")
    (tmp_path / "open.csv").write_text('image,label\n"1.png,a\n2.png,b\n')
    for name, words in (
        ("latin.csv", "UTF-8"),
        ("empty.csv", "no rows"),
        ("no.parquet", "not a Parquet file"),
        ("open.csv", r"open\.csv, line 3: .*is a quotation mark not closed"),
    ):
        with pytest.raises(UsageError, match=words):
            read_data(tmp_path / name)


def test_scanning_tells_how_far_it_is_and_changes_nothing(tmp_path: Path) -> None:
    folder = tree(tmp_path / "pictures", "a/1.png", "b/1.png")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.png")}
    told: list[tuple[float, str]] = []
    scan(folder, progress=lambda done, where: told.append((done, where)))
    assert told == [(0.5, "reading picture 1 of 2"), (1.0, "reading picture 2 of 2")]
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.png")}
    assert len(list(folder.rglob("*"))) == 4


def test_a_scan_twice_is_the_same_manifest(tmp_path: Path) -> None:
    first = scan(tree(tmp_path / "one", "a/1.png", "b/1.png"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    second = scan(tmp_path / "two")
    assert first.sha256 == second.sha256
    first.save(tmp_path / "first.parquet")
    assert Manifest.load(tmp_path / "first.parquet").sha256 == first.sha256


@pytest.mark.realdata
def test_real_folders_and_tables(shared: Path) -> None:
    pets = scan(shared / "data" / "pets-boxes" / "bboxes.csv", columns=Columns(group=""))
    assert len(pets) == 370 and len(pets.classes) == 37
    for (left, top, right, bottom), width, height in zip(
        *(pets.column(name) for name in ("box", "width", "height")), strict=True
    ):
        assert 0 <= left < right <= width + 1 and 0 <= top < bottom <= height + 1
    with pytest.raises(UsageError, match=r"--layout '\{group\}/\{label\}'"):
        scan(shared / "data" / "pacs-mini")
    drivers = shared / "data" / "state-farm" / "driver_imgs_list.csv"
    with pytest.raises(UsageError, match="22424 of 22424 pictures are not there"):
        scan(drivers)
    assert scan(drivers, pictures=False).counts("label")["c0"] == 2489
