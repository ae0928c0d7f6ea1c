"""The values of params.yaml with some of them changed, as the stages and the library take them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unetseg.config import AugmentSettings, ModelSettings, Params, TrainSettings
from unetseg.model import keras
from unetseg.model.assembly import build_model
from unetseg.params_file import load_params

PARAMS = load_params(Path(__file__).parents[1] / "params.yaml")
SMALL = {
    "base_filters": 2, "max_filters": 4, "depth": 2, "stem_stride": 1, "normalization": "batch", "residual": False,
    "separable": False, "activation": "relu", "standardize": True,
}  # fmt: skip


def params(**changed: Mapping[str, Any]) -> Params:
    """Change some values: ``params(image={"mode": "tiles"})``."""
    content = PARAMS.model_dump()
    return Params.model_validate(content | {name: content[name] | values for name, values in changed.items()})


def model_settings(**changed: Any) -> ModelSettings:
    """Give the settings of a U-Net that is built in a moment."""
    return params(model=SMALL | changed).model


def train_settings(**changed: Any) -> TrainSettings:
    """Change some values of `train`."""
    return params(train=changed).train


def no_augmentation(**changed: Any) -> AugmentSettings:
    """Turn off all augmentation but for some values."""
    off = {name: type(value)(0) for name, value in PARAMS.augment.model_dump().items()}
    return params(augment=off | changed).augment


def small_unet(size: int = 16, **changed: Any) -> keras.Model:
    """Build a U-Net of few weights."""
    return build_model(size, model_settings(**changed))
