"""The verb: an explanation of a picture, its figures and its sheet."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.images import Picture, read
from impasto.inspection.attribution.explain import explain
from impasto.inspection.attribution.options import ExplainOptions
from impasto.networks import Network
from impasto.runs.options_file import read_options, validate


def test_maps_come_with_figures_and_a_sheet(ways: dict[str, Network], picture: Tensor, tmp_path: Path) -> None:
    said: list[float] = []
    found = explain(
        Picture(picture),
        network=ways["in place"],
        method=("saliency", "grad-cam", "edges"),
        class_="kind 3",
        size=48,
        progress=lambda done, words: said.append(done),
    )
    facts = json.loads(json.dumps(found.facts(), allow_nan=False))
    assert facts["class"]["index"] == 3 and len(facts["predictions"]) == 5
    assert list(facts["methods"]) == ["saliency", "grad-cam", "edges"]
    for figures in facts["methods"].values():
        assert {"deletion", "insertion", "road"} == figures["faithfulness"].keys() == facts["random_order"].keys()
    assert facts["methods"]["edges"]["randomisation"]["verdict"].startswith("hardly depends")
    assert facts["methods"]["grad-cam"]["tap"] == "norm" and facts["preprocessing"] == "as it is, 64×48"
    assert said == sorted(said) and said[-1] == 1
    assert read(found.save(tmp_path / "sheet.png")).width > 600


def test_the_default_methods_suit_the_network(vit: Network, ways: dict[str, Network], picture: Tensor) -> None:
    how = {"size": 50, "steps": 2, "samples": 2, "window": 30, "sanity": False}
    found = explain(Picture(picture), network=vit, **how)
    assert list(found.methods) == ["saliency", "integrated-gradients", "smoothgrad", "occlusion", "grad-cam"]
    assert found.image.shape[-2:] == (48, 64) and found.preprocessing.endswith("the centre 64×48 taken")
    assert found.chance is None and found.explained == found.predictions[0]
    assert "guided" in explain(Picture(picture), network=ways["functional"], **how).methods


def test_a_gray_picture_and_a_score_that_nothing_changes(ways: dict[str, Network], tmp_path: Path) -> None:
    import copy
    from dataclasses import replace

    Image.linear_gradient("L").resize((64, 40)).save(tmp_path / "gray.png")
    module = copy.deepcopy(ways["module"].module)
    with torch.no_grad():
        module.head.weight.zero_()
    found = explain(tmp_path / "gray.png", network=replace(ways["module"], module=module), size=40, method="saliency")
    assert found.methods["saliency"].facts()["empty"]
    assert found.methods["saliency"].facts()["randomisation"]["rank_correlation"] is None
    json.dumps(found.facts(), allow_nan=False)
    found.save(tmp_path / "sheet.png")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"class_": "kin"}, "may be several classes"),
        ({"class_": "zebra"}, "has no class 'zebra': the nearest are kind 0"),
        ({"class_": 7}, "no class 7: they are 0 to 6"),
        ({"method": "guess"}, "method.* should be 'saliency'"),
        ({"method": "grad-cam", "tap": "layer9"}, "has no tap 'layer9': it has"),
        ({"method": "grad-cam", "tap": "head"}, "has no positions"),
        ({"klass": 1}, "no option 'klass'"),
    ],
)
def test_bad_options_in_one_line(
    fields: dict[str, object], words: str, ways: dict[str, Network], picture: Tensor
) -> None:
    with pytest.raises(UsageError, match=words) as error:
        explain(Picture(picture), network=ways["module"], size=48, sanity=False, **fields)
    assert "\n" not in str(error.value)


def test_bad_pictures_and_networks_in_one_line(
    vit: Network, ways: dict[str, Network], picture: Tensor, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for image, words in ((tmp_path / "text.png", "text.png"), (tmp_path / "none.png", "none.png"), (3, "is a int")):
        with pytest.raises(UsageError, match=words):
            explain(image, network=ways["module"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="15×40 pixels: a classifier needs 16"):
        explain(Picture(torch.zeros(1, 3, 40, 15)), network=ways["module"])
    with pytest.raises(UsageError, match="pocket is no classifier"):
        explain(Picture(picture), network="pocket")
    with pytest.raises(UsageError, match="runs no ReLU"):
        explain(Picture(picture), network=vit, size=48, method="guided")
    broken = ways["module"].module.head.bias.clone()
    try:
        ways["module"].module.head.bias.fill_(float("nan"))
        with pytest.raises(ImpastoError, match="weights are damaged"):
            explain(Picture(picture), network=ways["module"], size=48)
    finally:
        ways["module"].module.head.bias.copy_(broken)


def test_the_class_is_class_in_a_file_and_class__in_python(tmp_path: Path) -> None:
    (tmp_path / "how.yaml").write_text("class: 207\nmethod: saliency\n")
    values = read_options(ExplainOptions, tmp_path / "how.yaml")
    assert validate(ExplainOptions, values).class_ == "207"
    assert validate(ExplainOptions, values | {"class_": "tabby"}).class_ == "tabby"
