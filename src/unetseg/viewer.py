"""The napari plugin (napari.yaml): open a folder of predictions, and find the objects of an image in a widget."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import tifffile
from jaxtyping import Int32, Shaped

import unetseg  # imports Keras when it is used: napari should not wait for it
from unetseg.errors import InputError
from unetseg.model import PRETRAINED

if TYPE_CHECKING:
    import napari

    from unetseg.model import keras

Layer = tuple[np.ndarray, dict[str, Any], str]  # as napari takes them: data, what is shown of them, kind of layer


def get_reader(path: str | list[str]) -> Callable[[str], list[Layer]] | None:
    """Give the reader of a folder that `unetseg predict` wrote, None for anything else."""
    return read_predictions if isinstance(path, str) and (Path(path) / "predict.json").is_file() else None


def read_predictions(path: str) -> list[Layer]:
    """Read the objects of each image, or its mask where no label image was written, as a labels layer."""
    folder = Path(path)
    content = json.loads((folder / "predict.json").read_text("utf-8"))
    labelled = "labels" in content.get("write", ())  # else such a file is of an earlier run
    return [(_labels(folder, image, labelled), {"name": image["image"]}, "labels") for image in content["images"]]


def find_objects(
    image: "napari.layers.Image", model: Path = PRETRAINED, channel: int = -1, zoom: float = 0.0
) -> "napari.types.LayerDataTuple":
    """Find the objects of an image layer.

    Args:
        image: the layer.
        model: a .keras file.
        channel: which channel of a colour image, or which plane of a stack, from 0; -1: the whole image.
        zoom: enlarges the image before the model sees it, so that objects have the size that the model was trained on;
            0: found automatically.
    """
    pixels = np.asarray(image.data[0] if image.multiscale else image.data)  # of a pyramid the full size
    if channel >= 0:
        planes = np.moveaxis(pixels, -1, 0) if image.rgb else pixels
        if planes.ndim != 3:
            raise InputError(f"channel {channel}: needs a layer of three axes; this one has the shape {pixels.shape}")
        if channel >= len(planes):
            raise InputError(f"channel {channel}: the layer has those from 0 to {len(planes) - 1}")
        pixels = planes[channel]
    shown = {"name": f"{image.name} objects", "scale": image.scale[-2:], "translate": image.translate[-2:]}
    return label(pixels, model, zoom), shown, "labels"


def label(pixels: Shaped[np.ndarray, "..."], model: Path, zoom: float) -> Int32[np.ndarray, "height width"]:
    """Number the objects of an image.

    Args:
        pixels: (height, width), or (height, width, 3 or 4) for RGB without and with alpha.
        model: a .keras file.
        zoom: enlarges the image before the model sees it; 0: found automatically.

    Raises:
        InputError: if the pixels are a stack, or the model cannot be used.
    """
    if pixels.ndim != 2 and not (pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
        raise InputError(f"the layer has the shape {pixels.shape}: choose one plane of it with `channel`")
    changed = model.stat().st_mtime_ns if model.exists() else 0
    return unetseg.predict(pixels, _load(model, changed), zoom=zoom or None).labels


def _labels(folder: Path, image: dict[str, Any], labelled: bool) -> np.ndarray:
    labels = folder / f"{image['image']}.labels.tif"
    if labelled and labels.is_file():  # an image that was kept as edited may lack it
        return tifffile.imread(labels)
    mask = cv2.imread(str(folder / image["mask"]), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise InputError(f"{folder / image['mask']}: is gone or damaged; predict the image again")
    return np.asarray(mask) // np.uint8(255)


@lru_cache(maxsize=1)
def _load(model: Path, _changed: int) -> "keras.Model":
    return unetseg.load_model(model)
