"""In a notebook: a bar while it paints, and the picture inline."""

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from impasto.images import Picture, write


@pytest.mark.slow
def test_a_notebook_shows_the_picture_and_a_bar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "painting.jpg"):
        write(name, Picture(torch.rand(1, 3, 48, 64)))
    code = 'import impasto\nimpasto.stylize("photo.jpg", "painting.jpg", quality="draft")'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = notebook.cells[0].outputs
    result = next(output for output in outputs if output.output_type == "execute_result")
    assert "image/png" in result.data
    assert not [output for output in outputs if output.output_type == "error"]
    shown = "".join(str(output.get("data", "")) + output.get("text", "") for output in outputs if output is not result)
    assert "pocket" in shown and "%" in shown, f"no bar among {[output.output_type for output in outputs]}"
