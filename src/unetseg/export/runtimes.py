"""Convert a model for other runtimes, and measure what the conversion costs."""

import contextlib
import errno
import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from unetseg.errors import InputError, first_line
from unetseg.files import atomic_path, check_output
from unetseg.model import keras

LEAST_DICE = 0.995  # of masks at fewer bits against those of Keras
TOLERANCE = 1e-4  # largest allowed difference in probability of a 32-bit export
PRECISIONS = ("float32", "float16", "int8")

Probability = Float32[np.ndarray, "1 size size 1"]
Runtime = Callable[[Float32[np.ndarray, "1 size size 3"]], Probability]


class Export(NamedTuple):
    """A kind of export: the suffix of its file, Keras' name for it, how to run it, and what its folder holds."""

    suffix: str
    format: str
    runtime: Callable[[Path], Runtime]
    holds: str | None = None


def export_model(
    model: keras.Model,
    out: Path,
    *,
    to: str,
    precision: str,
    images: UInt8[np.ndarray, "n size size 3"],
    allow_loss: bool = False,
) -> tuple[float, float | None]:
    """Export a model and compare the predictions of the other runtime with those of Keras.

    Args:
        model: raw RGB images to probabilities.
        out: the file, or for a SavedModel the folder, to write; it appears only if the check is passed.
        to: "savedmodel", "onnx" or "litert".
        precision: "float32"; for LiteRT also "float16" weights, or "int8" weights and activations.
        images: what both are tried on; int8 takes its ranges from them.
        allow_loss: whether to keep an export whose masks differ more than `LEAST_DICE` allows.

    Returns:
        The largest difference in probability, and the mean Dice of the export's masks against those of Keras, over
        the images in which either finds anything; None if there are none.

    Raises:
        InputError: if a package is missing, the suffix is another, the runtime has no such precision or cannot take
            the model, the difference at 32 bits is over 1e-4, or fewer bits cost more Dice than 0.005.
        OSError: if the disk is full.
    """
    export = EXPORTS[to]
    _check_wanted(to, out, precision, images)
    check_output(out, holding=export.holds)
    model.predict_on_batch(images[:1].astype(np.float32))  # Keras exports only what was called
    with atomic_path(out) as beside:
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the converters warn about themselves
                model.export(str(beside), format=export.format, verbose=False, **_quantised(precision, images))
            difference, dice = _compare(model, export.runtime(beside), images)
        except ImportError as error:
            raise InputError(f"--to {to} needs another package: pip install 'unetseg[export]' ({error})") from error
        except Exception as error:
            if type(error).__name__ == "ResourceExhaustedError" and "OOM" not in str(error):  # TensorFlow's words
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out)) from error
            if isinstance(error, (OSError, MemoryError)):
                raise
            raise InputError(f"--to {to} cannot take this model: {first_line(error)}") from error
        if precision != "float32" and not ((dice or 0) >= LEAST_DICE or allow_loss):
            lost = "what its masks lose cannot be told from images on which nothing is found"
            if dice is not None:
                lost = f"its masks have Dice {dice:.4f} against those of Keras, under {LEAST_DICE}"
            raise InputError(f"{out}: {lost}; give more --images, or --allow-loss to keep it")
        if precision == "float32" and not difference <= TOLERANCE:
            raise InputError(f"{out}: its probabilities differ by {difference:.1e} from Keras', over {TOLERANCE:.0e}")
    return difference, dice


def _check_wanted(to: str, out: Path, precision: str, images: UInt8[np.ndarray, "n size size 3"]) -> None:
    suffix = EXPORTS[to].suffix
    if out.suffix != suffix:
        raise InputError(f"{out}: --to {to} writes {suffix or 'a folder, a name without a suffix'}")
    if precision != "float32" and to != "litert":
        raise InputError(f"--precision {precision}: only --to litert has it")
    if precision == "int8" and not np.ptp(images, axis=(1, 2, 3)).any():
        raise InputError("--images: each is of one value, which gives int8 no ranges; give images with objects")


def _compare(
    model: keras.Model, runtime: Runtime, images: UInt8[np.ndarray, "n size size 3"]
) -> tuple[float, float | None]:
    """Give the largest difference of probabilities, and the mean Dice of masks; None where all are empty."""
    differences, scores = [], []
    for image in images:
        batch = image[None].astype(np.float32)
        ours, theirs = model.predict_on_batch(batch), runtime(batch)
        differences.append(float(np.abs(ours - theirs).max()))
        first, second = ours >= 0.5, theirs >= 0.5
        if total := first.sum() + second.sum():
            scores.append(2 * (first & second).sum() / total)
    return max(differences), float(np.mean(scores)) if scores else None


def _quantised(precision: str, images: UInt8[np.ndarray, "n size size 3"]) -> dict[str, Any]:
    """Return the converter's quantisation settings; inputs and outputs stay float32."""
    if precision == "float32":
        return {}
    import tensorflow as tf  # noqa: PLC0415 - other backends have no such converter

    settings: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if precision == "float16":
        return settings | {"target_spec": {"supported_types": [tf.float16]}}
    return settings | {"representative_dataset": lambda: ([image[None].astype(np.float32)] for image in images)}


def _savedmodel(path: Path) -> Runtime:
    layer = keras.layers.TFSMLayer(str(path), call_endpoint="serve")
    return lambda batch: np.asarray(layer(batch))


def _onnx(path: Path) -> Runtime:
    import onnxruntime  # noqa: PLC0415 - an optional package

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: np.asarray(session.run(None, {name: batch})[0])


def _litert(path: Path) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - an optional package

    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(batch: Float32[np.ndarray, "1 size size 3"]) -> Probability:
        interpreter.set_tensor(source, batch)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(target))

    return run


EXPORTS = {  # --to
    "savedmodel": Export("", "tf_saved_model", _savedmodel, "saved_model.pb"),
    "onnx": Export(".onnx", "onnx", _onnx),
    "litert": Export(".tflite", "litert", _litert),
}
