"""Contact sheets: every picture whole, in its place, with its label."""

import torch

from impasto.images.contact_sheet import contact_sheet

RED, GREEN, BLUE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def patch(colour: tuple[float, float, float], height: int, width: int) -> torch.Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, height, width)


def covered(sheet: torch.Tensor, colour: tuple[float, float, float]) -> tuple[int, int, int, int]:
    """Top, left, height and width of what has exactly this colour, which must be a full rectangle."""
    inside = (sheet[0] == torch.tensor(colour).view(3, 1, 1)).all(0)
    rows, columns = inside.any(1).nonzero().flatten(), inside.any(0).nonzero().flatten()
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    assert inside[top : top + height, left : left + width].all()
    return top, left, height, width


def test_pictures_of_any_size_stand_at_one_height_in_rows():
    sheet = contact_sheet(
        [[("one", patch(RED, 20, 30)), ("two", patch(GREEN, 100, 50))], [("three", patch(BLUE, 7, 14))]], 40
    )
    assert sheet.shape[:2] == (1, 3) and sheet.dtype == torch.float32
    red, green, blue = (covered(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert red[2:] == (40, 60) and green[2:] == (40, 20) and blue[2:] == (40, 80)
    assert red[0] == green[0] and blue[0] >= red[0] + 40  # two in the first row, one below
    assert green[1] >= red[1] + 60 and blue[1] == red[1]
    assert sheet.shape[3] > green[1] + 20 and sheet.shape[2] > blue[0] + 40


def test_every_picture_has_its_label_above_it():
    for labels in (("a", ""), ("", "b")):
        sheet = contact_sheet([[(label, patch(RED, 40, 40)) for label in labels]], 40)
        paper = (sheet != 1).any(dim=1)[0]
        top = covered_top(sheet)
        inks = [paper[:top, half].any() for half in (slice(0, 58), slice(58, None))]
        assert [bool(ink) for ink in inks] == [bool(label) for label in labels]


def covered_top(sheet: torch.Tensor) -> int:
    return int((sheet[0] == torch.tensor(RED).view(3, 1, 1)).all(0).any(1).nonzero()[0])


def test_a_picture_keeps_its_colours_on_the_sheet():
    image = torch.randint(0, 256, (1, 3, 24, 36), generator=torch.Generator().manual_seed(0)).float() / 255
    sheet = contact_sheet([[("", image)]], height=24)
    windows = sheet.unfold(2, 24, 1).unfold(3, 36, 1)
    apart = (windows - image[:, :, None, None]).abs().amax(dim=(1, 4, 5))
    assert apart.min() < 1e-6


def test_the_whole_of_a_long_row_fits():
    sheet = contact_sheet([[(str(i), patch(RED, 10, 10)) for i in range(9)], [("", patch(BLUE, 10, 10))]], 16)
    assert (sheet[0] == torch.tensor(RED).view(3, 1, 1)).all(0).sum() == 9 * 16 * 16


def test_a_cell_is_as_wide_as_its_label():
    long = "a label much longer than its picture"
    sheet = contact_sheet([[(long, patch(RED, 10, 10)), ("b", patch(BLUE, 10, 10))], [("c", patch(GREEN, 9, 9))]], 16)
    alone = contact_sheet([[(long, patch(RED, 10, 10))]], 16)
    left = covered(sheet, BLUE)[1]
    above = slice(0, covered(sheet, RED)[0])
    inks = [(each != 1).any(dim=1)[0, above].any(dim=0).nonzero().flatten() for each in (alone, sheet[..., :left])]
    assert torch.equal(*inks) and inks[0][-1] < left  # the whole of the label, and nothing of the next
    assert covered(sheet, RED)[1] == covered(sheet, GREEN)[1]
    assert (alone[..., -2:] == 1).all()
