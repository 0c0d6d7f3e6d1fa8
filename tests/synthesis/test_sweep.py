"""Sweeps: one photograph with each value of an option."""

from pathlib import Path
from typing import get_args

import pytest
import torch

from impasto import networks
from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.contact_sheet import contact_sheet
from impasto.losses.names import StyleLossName
from impasto.synthesis.options import StyleTransferOptions
from impasto.synthesis.stylize import stylize
from impasto.synthesis.sweep import STRENGTHS, sweep


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in enumerate(("photo.png", "painting.png"), start=3):
        coarse = torch.rand(1, 3, 3 + 3 * seed, 3 + 3 * seed, generator=torch.Generator().manual_seed(seed))
        write(folder / name, Picture(torch.nn.functional.interpolate(coarse, (48, 64), mode="bilinear")))
    return folder / "photo.png", folder / "painting.png"


def cells(rows) -> dict[str, torch.Tensor]:
    found = [cell for row in rows[1:] for cell in row]
    assert len(dict(found)) == len(found), "every label is another"
    return dict(found)


def test_strengths_go_from_hardly_any_to_nothing_else(files):
    rows = sweep(files[0], [files[1]], "strength", size=64, steps=8)
    assert [label for label, _ in rows[0]] == ["content", "style"] and max(map(len, rows)) <= 4
    made = cells(rows)
    assert list(made) == [f"strength {value}" for value in STRENGTHS]
    apart = [float((picture - rows[0][0][1]).abs().mean()) for picture in made.values()]
    assert apart[0] < apart[3] < apart[-1]


def test_every_loss_is_shown(files):
    made = cells(sweep(files[0], [files[1]], "loss", size=64, steps=2))
    assert list(made) == list(get_args(StyleLossName))
    assert all(picture.shape == (1, 3, 48, 64) and picture.isfinite().all() for picture in made.values())


def test_every_layer_is_shown_and_then_all(files):
    made = cells(sweep(files[0], [files[1]], "taps", size=48, steps=2))
    network = networks.load("pocket")
    relus = [name for name in network.aliases if name.startswith("relu")]
    assert list(made) == [*relus, ", ".join(network.style_taps)]


def test_a_cell_is_the_picture_that_it_is_alone(files):
    options = {"size": 48, "steps": 3}
    made = cells(sweep(files[0], [files[1]], "taps", **options))
    assert torch.equal(made["relu2_1"], stylize(*files, taps="relu2_1", **options).tensor)
    made = cells(sweep(files[0], [files[1]], "strength", loss=("meanstd", "gram"), loss_weights=(1, 2), **options))
    alone = stylize(*files, strength=0.6, loss=("meanstd", "gram"), loss_weights=(1, 2), **options)
    assert torch.equal(made["strength 0.6"], alone.tensor)


def test_the_size_is_small_unless_chosen(files):
    options = StyleTransferOptions(quality="draft", steps=1, scales=1)
    made = cells(sweep(files[0], [files[1]], "strength", options=options))
    assert {max(picture.shape) for picture in made.values()} == {256}


def test_labels_are_told_before_the_work_and_the_sheet_can_be_made(files):
    labels, events = [], []

    def progress(label):
        labels.append(label)
        return events.append

    rows = sweep(files[0], [files[1]], "strength", size=32, steps=1, progress=progress)
    assert labels == list(cells(rows)) and len(events) >= len(labels)
    sheet = contact_sheet(rows, height=64)
    assert sheet.shape[1] == 3 and sheet.shape[2] > 3 * 64


def test_an_interrupt_ends_the_sweep_with_the_picture_so_far(files):
    events = []

    def interrupt(event) -> None:
        events.append(event)
        if len(events) == 5:
            raise KeyboardInterrupt

    rows = sweep(files[0], [files[1]], "strength", size=32, scales=1, steps=3, progress=lambda label: interrupt)
    assert list(cells(rows)) == ["strength 0.1", "strength 0.25 (interrupted)"] and len(events) == 5


def test_what_cannot_be_swept_is_said(files, tmp_path):
    with pytest.raises(UsageError, match="none.png"):
        sweep(tmp_path / "none.png", [files[1]], "strength")
    with pytest.raises(UsageError, match="no style"):
        sweep(files[0], [], "strength")
    with pytest.raises(UsageError, match="size"):
        sweep(files[0], [files[1]], "strength", size=3)
