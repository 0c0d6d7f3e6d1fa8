"""impasto: paint with, look inside, restore with and retrain pretrained image networks."""

from importlib import import_module
from typing import TYPE_CHECKING

from impasto.errors import ImpastoError, UsageError

if TYPE_CHECKING:
    from impasto.images import Picture, read, write
    from impasto.inspection.atlas.build import atlas
    from impasto.inspection.attribution.explain import explain
    from impasto.inspection.attribution.options import ExplainOptions, FoolOptions
    from impasto.inspection.dream import dream
    from impasto.inspection.folder.embed import embed
    from impasto.inspection.folder.live import activations
    from impasto.inspection.folder.neighbours import neighbours
    from impasto.inspection.folder.top_patches import patches
    from impasto.inspection.fool import fool
    from impasto.inspection.options import DreamOptions, VisualizationOptions
    from impasto.inspection.visualize import visualize
    from impasto.learning.classify import classify
    from impasto.learning.landscape import landscape
    from impasto.learning.options import ClassifierOptions
    from impasto.learning.predict import predict
    from impasto.learning.trained_network import trained_network
    from impasto.learning.work import TrainedClassifier
    from impasto.synthesis.batch import stylize_batch
    from impasto.synthesis.invert import invert
    from impasto.synthesis.options import InversionOptions, StyleTransferOptions, TextureOptions
    from impasto.synthesis.plan import plan
    from impasto.synthesis.rerun import rerun
    from impasto.synthesis.resume import resume
    from impasto.synthesis.session import SynthesisResult
    from impasto.synthesis.stylize import stylize
    from impasto.synthesis.texture import texture
    from impasto.translation.enhance import enhance
    from impasto.translation.enhance_options import EnhanceOptions
    from impasto.translation.options import EnhancementOptions, SegmentationOptions
    from impasto.translation.segment import segment
    from impasto.translation.segment_options import SegmentOptions
    from impasto.translation.train_enhancement import train_enhancement
    from impasto.translation.train_segmentation import train_segmentation

__version__ = "0.1.0"

_HOMES = {
    "ClassifierOptions": "impasto.learning.options",
    "DreamOptions": "impasto.inspection.options",
    "EnhanceOptions": "impasto.translation.enhance_options",
    "EnhancementOptions": "impasto.translation.options",
    "ExplainOptions": "impasto.inspection.attribution.options",
    "FoolOptions": "impasto.inspection.attribution.options",
    "InversionOptions": "impasto.synthesis.options",
    "Picture": "impasto.images",
    "SegmentOptions": "impasto.translation.segment_options",
    "SegmentationOptions": "impasto.translation.options",
    "StyleTransferOptions": "impasto.synthesis.options",
    "SynthesisResult": "impasto.synthesis.session",
    "TextureOptions": "impasto.synthesis.options",
    "TrainedClassifier": "impasto.learning.work",
    "VisualizationOptions": "impasto.inspection.options",
    "activations": "impasto.inspection.folder.live",
    "atlas": "impasto.inspection.atlas.build",
    "classify": "impasto.learning.classify",
    "dream": "impasto.inspection.dream",
    "embed": "impasto.inspection.folder.embed",
    "enhance": "impasto.translation.enhance",
    "explain": "impasto.inspection.attribution.explain",
    "fool": "impasto.inspection.fool",
    "invert": "impasto.synthesis.invert",
    "landscape": "impasto.learning.landscape",
    "neighbours": "impasto.inspection.folder.neighbours",
    "patches": "impasto.inspection.folder.top_patches",
    "plan": "impasto.synthesis.plan",
    "predict": "impasto.learning.predict",
    "read": "impasto.images",
    "rerun": "impasto.synthesis.rerun",
    "resume": "impasto.synthesis.resume",
    "segment": "impasto.translation.segment",
    "stylize": "impasto.synthesis.stylize",
    "stylize_batch": "impasto.synthesis.batch",
    "texture": "impasto.synthesis.texture",
    "train_enhancement": "impasto.translation.train_enhancement",
    "train_segmentation": "impasto.translation.train_segmentation",
    "trained_network": "impasto.learning.trained_network",
    "visualize": "impasto.inspection.visualize",
    "write": "impasto.images",
}

__all__ = [
    "ClassifierOptions",
    "DreamOptions",
    "EnhanceOptions",
    "EnhancementOptions",
    "ExplainOptions",
    "FoolOptions",
    "ImpastoError",
    "InversionOptions",
    "Picture",
    "SegmentOptions",
    "SegmentationOptions",
    "StyleTransferOptions",
    "SynthesisResult",
    "TextureOptions",
    "TrainedClassifier",
    "UsageError",
    "VisualizationOptions",
    "activations",
    "atlas",
    "classify",
    "dream",
    "embed",
    "enhance",
    "explain",
    "fool",
    "invert",
    "landscape",
    "neighbours",
    "patches",
    "plan",
    "predict",
    "read",
    "rerun",
    "resume",
    "segment",
    "stylize",
    "stylize_batch",
    "texture",
    "train_enhancement",
    "train_segmentation",
    "trained_network",
    "visualize",
    "write",
]


def __getattr__(name: str) -> object:
    """Import a verb when it is first used: torch takes a second that ``import impasto`` has not got."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
