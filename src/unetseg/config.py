"""The settings of the pipeline, typed once: strict, frozen, without defaults.

They are the sections of params.yaml and what the library takes. Upper limits are far above any use: they keep a typing
error from taking all memory, or from ending hours later in an overflow.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from unetseg.errors import InputError
from unetseg.files import is_empty_zip

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
File = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=4096)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
TAKEN = ("train", "validation", "test", "low", "high")  # names of other scores


class Section(pydantic.BaseModel):
    """One section; text is never converted to a number, an integer is accepted for a float."""

    model_config = pydantic.ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


LIMITS = {"max_members": 10**6, "max_gigabytes": 200, "max_ratio": 200}  # of archives where params.yaml is not in use


class DataSettings(Section):
    """The archive, and what is refused."""

    archive: Annotated[File, Field(min_length=1)]
    groups: Annotated[File, Field(min_length=1)]
    on_bad_sample: Literal["error", "skip"]
    max_members: int = Field(ge=1, le=10**9)
    max_gigabytes: float = Field(gt=0, le=10**6)
    max_ratio: float = Field(ge=1, le=10**6)
    channel: Annotated[int, Field(ge=0, le=10**6)] | Annotated[str, Field(min_length=1, max_length=100)]
    project: Literal["none", "max", "mean"]


class ImageSettings(Section):
    """How images are brought to the model's size."""

    size: int = Field(ge=8, le=4096)
    mode: Literal["resize", "tiles"]
    pixel_size: float = Field(ge=0, le=1e6)


FOLDED = ("kfold", "experiment")  # methods that share the samples out over folds


class SplitSettings(Section):
    """How samples are assigned to train, validation and test."""

    method: Literal["grouped", "random", "kfold", "experiment"]
    validation: float = Field(ge=0, lt=1)
    test: float = Field(ge=0, lt=1)
    folds: int = Field(ge=2, le=1000)
    fold: int = Field(ge=0)
    seed: Seed

    @pydantic.field_validator("validation")
    @classmethod
    def _has_images(cls, share: float) -> float:
        if not share:
            raise ValueError("training chooses the best epoch on these images; give a share above 0")
        return share

    @pydantic.model_validator(mode="after")
    def _leave_something_to_train_on(self) -> "SplitSettings":
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation} and test {self.test} leave nothing to train on")
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} does not exist, the {self.folds} folds count from 0")
        return self


class ModelSettings(Section):
    """The network and its shape."""

    network: Literal["unet"]  # the modules of unetseg.model that have a network
    base_filters: int = Field(ge=1, le=1024)
    max_filters: int = Field(ge=1, le=4096)
    depth: int = Field(ge=1, le=8)
    stem_stride: int = Field(ge=1, le=2)
    normalization: Literal["batch", "none"]
    residual: bool
    separable: bool
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu"]
    standardize: bool

    @property
    def divisor(self) -> int:
        """The number that the height and width of an image have to be divisible by."""
        return self.stem_stride * int(2**self.depth)


class AugmentSettings(Section):
    """Strengths of the augmentation."""

    flip: bool
    rotate90: bool
    scale: float = Field(ge=0, le=1)
    rotate: float = Field(ge=0, le=180)
    elastic: float = Field(ge=0, le=64)
    brightness: Share
    contrast: float = Field(ge=0, lt=1)
    gamma: float = Field(ge=0, lt=1)
    channel: float = Field(ge=0, lt=1)
    stain: float = Field(ge=0, lt=1)
    recolour: Share
    shading: Share
    statistics: float = Field(ge=0, le=4)
    blur: Share
    blur_pixels: float = Field(ge=0, le=16)
    shrink: Share
    noise: Share
    levels: Share
    jpeg: Share
    invert: Share
    negative: Share


class TrainSettings(Section):
    """How the model is trained."""

    epochs: Positive
    batch_size: int = Field(ge=1, le=4096)
    learning_rate: float = Field(gt=0, le=10)
    schedule: Literal["cosine", "constant"]
    warmup_epochs: float = Field(ge=0, le=10**6)
    loss: Literal["bce", "bce_dice"]  # the functions of unetseg.training.losses
    clip_norm: float = Field(ge=0, le=10**6)
    ema: float = Field(ge=0, lt=1)
    balance: Share
    border: float = Field(ge=0, le=1000)
    crop: int = Field(ge=1, le=4096)
    crop_epochs: int = Field(ge=0, le=10**6)
    patience: Positive
    jit_compile: bool
    seed: Seed
    start_from: File
    distribute: Literal["none", "mirrored", "data_parallel"]


class EvaluateSettings(Section):
    """How the model is evaluated."""

    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["validation"]
    tta: bool
    bootstrap: int = Field(ge=100, le=100_000)
    seed: Seed
    external: Annotated[File, Field(min_length=1)]

    @pydantic.field_validator("external")
    @classmethod
    def _is_told_apart(cls, external: str) -> str:
        if (name := Path(external).stem) in TAKEN:
            raise ValueError(f"its scores would be named {name!r}, as others are: rename the archive")
        return external


class PlotSettings(Section):
    """What the pictures show."""

    examples: int = Field(ge=1, le=20)


class Params(Section):
    """All sections of params.yaml."""

    data: DataSettings
    image: ImageSettings
    split: SplitSettings
    model: ModelSettings
    augment: AugmentSettings
    train: TrainSettings
    evaluate: EvaluateSettings
    plot: PlotSettings


def check_against_data(params: Params, samples: int) -> None:
    """Refuse parameters that this number of samples cannot satisfy.

    Raises:
        InputError: with a line for each, naming its key and the rule.
    """
    if problems := list(_unsatisfied(params, samples)):
        raise InputError(*(f"params.yaml: {problem}" for problem in problems))


def check_scored(split: SplitSettings, external: Path) -> None:
    """Refuse to leave nothing to score, before the training; `external` is the archive `evaluate.external`.

    Raises:
        InputError: naming the keys.
    """
    for problem in _unscored(split, external):
        raise InputError(f"params.yaml: {problem}")


def check_batch_size(batch_size: int, images: int) -> None:
    """Refuse a batch that takes more than the images of the training subset.

    Raises:
        InputError: naming both numbers.
    """
    if batch_size > images:
        raise InputError(f"params.yaml: train.batch_size: {batch_size} is more than the {images} training images")


def _unscored(split: SplitSettings, external: Path) -> Iterator[str]:
    if not split.test and split.method not in FOLDED and is_empty_zip(external):
        yield "split.test: 0 leaves nothing to score: raise it, or name an archive in evaluate.external"


def _unsatisfied(params: Params, samples: int) -> Iterator[str]:
    split, batch = params.split, params.train.batch_size
    folded = split.method in FOLDED
    tested = round(samples / split.folds) if folded else round(split.test * samples)
    validated, there_are = round(split.validation * samples), f"data.archive has {samples} samples"
    train = samples - validated - tested
    yield from _unscored(split, Path(params.evaluate.external))
    if folded and split.folds > samples:
        yield f"split.folds: {split.folds} leaves a fold empty: {there_are}"
    elif not folded and split.test and tested < 1:
        yield f"split.test: {split.test:g} leaves the test subset empty: {there_are}"
    if validated < 1:
        yield f"split.validation: {split.validation:g} leaves the validation subset empty: {there_are}"
    if split.method == "experiment":  # its parts are of any size
        return
    if train < 1:
        tests = f"split.folds: {split.folds}" if folded else f"split.test: {split.test:g}"
        yield f"split.validation: {split.validation:g} and {tests} leave none for training: {there_are}"
    elif batch > train:
        yield f"train.batch_size: {batch} is more than the {train} left to train on: {there_are}"
