"""How to predict: what was asked for, and what `evaluate` chose on the validation subset, as JSON beside the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from numbers import Real
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pydantic
from pydantic import Field

from unetseg.errors import InputError
from unetseg.files import sha256
from unetseg.images.stacks import Channel, Project
from unetseg.objects.separation import connected_objects, separated_objects
from unetseg.objects.strips import Number
from unetseg.prediction.quality import Estimate

NAME = "tuning.json"
FROM_MODEL, DEFAULTS = "the model", "the defaults"  # where values come from that lack none
LEAST, MOST = 1 / 64, 64.0  # zooms; beyond, the size of pixels must be wrong

Trained = Literal["resize", "tiles"]
Scale = Literal["auto", "resize", "tiles"]
Objects = Literal["separated", "connected", "none"]


@dataclass(frozen=True)
class Settings:
    """How to predict.

    Attributes:
        scale: "resize" fits an image to the model's size; "tiles" predicts it at its own size, in tiles; "auto" as
            `unetseg.prediction.zoom.Zooming` decides.
        threshold: probability from which a pixel is foreground.
        depth: minimum depth of the neck at which touching objects are split, in pixels that the model sees.
        min_size: smaller objects, in pixels that the model sees, are left out.
        objects: "separated" splits touching objects; "connected" does not and takes a tenth of the time; "none": only
            masks.
        tta: whether to average over the 8 flips and quarter turns.
        zoom: factor by which an image is enlarged for the model, in tiles; None: as `scale` says.
        pixel_size: of the images in µm, whatever their files say.
    """

    scale: Scale = "auto"
    threshold: float = 0.5
    depth: float = 1.0
    min_size: int = 8
    objects: Objects = "separated"
    tta: bool = False
    zoom: float | None = None
    pixel_size: float | None = None

    def smallest(self, zoom: float) -> int:
        """Return the smallest object size, in pixels of the image, at this zoom."""
        return max(1, round(self.min_size / zoom**2))

    def number(self, zoom: float) -> Number:
        """Return the function that numbers objects, with lengths in pixels of the image."""
        if self.objects == "connected":
            return partial(connected_objects, threshold=self.threshold, min_size=self.smallest(zoom))
        return partial(
            separated_objects, threshold=self.threshold, depth=self.depth / zoom, min_size=self.smallest(zoom)
        )


class Tuning(pydantic.BaseModel):
    """The values to predict with.

    Attributes:
        model: digest of the model's file, see `unetseg.files.sha256`; None: of any.
        threshold: probability from which a pixel is foreground.
        depth: minimum depth of the neck at which touching objects are split, in pixels that the model sees.
        min_size: smaller objects, in pixels that the model sees, are left out.
        scale: "resize" or "tiles".
        tta: whether to average over the 8 flips and quarter turns.
        sizes: least and greatest height or width of the images that the model was trained on; None: not known.
        zoom: the usual one of these images: pixels that the model saw for each of theirs.
        doubt: what the expected Dice has to gain, for each factor of two, for another zoom to be chosen.
        pixel_size: of what the model sees, in µm; None: not known.
        estimate: from the stability of a prediction to the Dice that is likely.
    """

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    model: str | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    depth: Annotated[float, Field(gt=0, le=1000)] = 1.0
    min_size: Annotated[int, Field(ge=0, le=10**9)] = 8
    scale: Trained = "resize"
    tta: bool = False
    sizes: Annotated[tuple[Annotated[int, Field(ge=1)], int] | None, Field(strict=False)] = None
    zoom: Annotated[float, Field(ge=LEAST, le=MOST)] = 1.0
    doubt: Annotated[float, Field(ge=0, le=1)] = 0.0
    pixel_size: Annotated[float, Field(gt=0)] | None = None
    estimate: Estimate = Estimate()

    def changed(self, **given: Any) -> "Tuning":
        """Put these values in place of its own, but for those that are None.

        Raises:
            InputError: naming a value that is not possible.
        """
        known = {name: value for name, value in given.items() if value is not None}
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in known.items()}
        try:
            return Tuning.model_validate(self.model_dump() | plain)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"{first['loc'][0]} {first['input']}: {first['msg']}") from error

    def settings(self, **asked: Any) -> Settings:
        """Predict with these values, and all others as asked.

        Raises:
            InputError: if a value is not possible, or if one would make another meaningless.
        """
        zoom, pixel_size, scale = (asked.get(name) for name in ("zoom", "pixel_size", "scale"))
        if scale is None:
            asked.pop("scale", None)
        elif scale not in get_args(Scale):
            raise InputError(f"scale {scale!r}: it is one of {', '.join(get_args(Scale))}")
        for name, value in (("zoom", zoom), ("pixel size", pixel_size)):
            if not isinstance(value, Real | None) or isinstance(value, bool):
                raise InputError(f"{name} {value!r:.40}: it is a number")
        if zoom is not None and not LEAST <= zoom <= MOST:
            raise InputError(f"zoom {zoom:g}: it is from 1/{1 / LEAST:g} to {MOST:g}")
        if pixel_size is not None and not 0 < pixel_size < inf:
            raise InputError(f"pixel size {pixel_size:g}: it has to be over 0")
        if zoom and scale == "resize":
            raise InputError(f"zoom {zoom:g}: an image is either fitted to the model's size or zoomed; leave out scale")
        if pixel_size and (zoom or scale in ("resize", "tiles")):
            raise InputError(f"pixel size {pixel_size:g}: it decides the zoom; leave out zoom and scale")
        if pixel_size and not self.pixel_size:
            raise InputError(
                f"pixel size {pixel_size:g}: the model does not know the size of the pixels that it was trained on; "
                "give a zoom in its place"
            )
        return Settings(threshold=self.threshold, depth=self.depth, min_size=self.min_size, tta=self.tta, **asked)


def seen_by(
    facts: Mapping[str, Any], channel: Channel | None = None, project: Project | None = None
) -> tuple[Channel, Project]:
    """Choose the channel and the projection of images for a model: as asked for, else as it was trained."""
    trained = facts.get("trained_with", {}).get("data", {})
    return trained.get("channel", "all") if channel is None else channel, project or trained.get("project", "none")


def find_tuning(model: Path, facts: dict[str, Any]) -> tuple[Tuning, str]:
    """Read the values that belong to a model, and describe where they come from.

    They stand in <name>.json beside <name>.keras, or else in tuning.json in the same folder, unless that was written
    for another model; or they are what the model's own facts say (see `unetseg.model.facts.read_facts`), or defaults.

    Raises:
        InputError: naming the file of values and what is wrong with it.
    """
    known = _of_facts(facts)
    source = FROM_MODEL if known.model_fields_set else DEFAULTS
    file = next((each for each in (model.with_suffix(".json"), model.with_name(NAME)) if each.is_file()), None)
    if not file:
        lacking = f"without what `evaluate` chose: copy its models/tuning.json to {model.with_suffix('.json')}"
        of_pipeline = "trained_with" in facts and "threshold" not in facts
        return known, f"{source}, {lacking}" if of_pipeline else source
    found = read_tuning(file)
    if found.model in (None, sha256(model)):
        stated = {name: getattr(found, name) for name in found.model_fields_set}
        return known.model_copy(update=stated), str(file)
    return known, f"{source}, as {file} is of another model"


def joined_values(each: Sequence[Tuning], model: str) -> Tuning:
    """Join the values of models for the one that is their mean: medians, all sizes, the most careful estimate."""
    sizes = [tuning.sizes for tuning in each if tuning.sizes]
    middle = {
        name: median(getattr(tuning, name) for tuning in each) for name in ("threshold", "depth", "zoom", "doubt")
    }
    return each[0].model_copy(
        update=middle
        | {
            "model": model,
            "min_size": round(median(tuning.min_size for tuning in each)),
            "tta": any(tuning.tta for tuning in each),
            "sizes": (min(least for least, _ in sizes), max(most for _, most in sizes)) if sizes else None,
            "estimate": max((tuning.estimate for tuning in each), key=lambda estimate: estimate.factor),
        }
    )


def read_tuning(path: Path) -> Tuning:
    """Read a file of values.

    Raises:
        InputError: naming the file, the value and the rule.
    """
    try:
        return Tuning.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        told = f"{where}: {first['msg']}" if where else first["msg"]
        raise InputError(f"{path}: {told}; evaluate the model again, or remove the file") from error


def _of_facts(facts: dict[str, Any]) -> Tuning:
    """Use the facts in a model file, which are checked; without any, the model was trained on images of its size."""
    image = facts.get("trained_with", {}).get("image", {})
    found = {
        "threshold": facts.get("threshold"),
        "scale": image.get("mode"),
        "pixel_size": image.get("pixel_size") or None,
    }
    return Tuning(**{name: value for name, value in found.items() if value is not None})
