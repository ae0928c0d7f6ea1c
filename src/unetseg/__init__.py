"""From a zip of labelled images to a U-Net segmentation model you can trust."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unetseg.prediction.api import load_model as load_model
    from unetseg.prediction.api import predict as predict

__version__ = "0.1.0"
__all__ = ["load_model", "predict"]


def __getattr__(name: str) -> Any:
    """Import what is asked for: TensorFlow takes seconds, and most of this package does without."""
    if name not in __all__:
        raise AttributeError(f"module 'unetseg' has no attribute {name!r}")
    return getattr(import_module("unetseg.prediction.api"), name)
