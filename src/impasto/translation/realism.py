"""Realism: between two models of one architecture, one that is faithful and one that is realistic, by their weights."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from impasto.errors import UsageError
from impasto.training.parametrizations import settle
from impasto.translation.model import TranslationModel


def between(model: TranslationModel, companion: TranslationModel, realism: float) -> TranslationModel:
    """A model whose weights are (1 − realism) · the model's + realism · its companion's.

    Wang et al. (2018), ESRGAN, section 3.4, network interpolation: of one network trained for its distance and, from
    there, for how real its pictures look, the weights between give pictures between, without artefacts. What batch
    norms have measured is mixed too.

    Args:
        model: The faithful one: 0 is it, exactly.
        companion: The realistic one, of the same architecture: 1 is it, exactly.
        realism: From 0 to 1.

    Raises:
        UsageError: The two differ in more than their weights.
    """
    first, second = model.module.state_dict(), companion.module.state_dict()
    alike = {key: value.shape for key, value in first.items()} == {key: value.shape for key, value in second.items()}
    kinds = type(model.module) is type(companion.module)
    same = (model.architecture, model.scale, model.task) == (companion.architecture, companion.scale, companion.task)
    if not (alike and kinds and same):
        raise UsageError(
            f"{companion.name} is no companion of {model.name}: weights are mixed of two models of one architecture, "
            "scale and task, of which one was trained on from the other"
        )
    if realism in (0, 1):
        return companion if realism else model
    mixed = {
        key: torch.lerp(value, second[key], realism) if value.is_floating_point() else value
        for key, value in first.items()
    }
    module = copy.deepcopy(model.module)
    module.load_state_dict(mixed)
    settle(module)  # singular vectors between two networks' are of neither, nor of what lies between
    return replace(model, module=module, name=f"{model.name} and {companion.name}")
