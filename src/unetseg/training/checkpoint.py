"""Keep what a kill must not lose: the state of a training after each epoch, and the best epoch so far."""

import json
import math
import shutil
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unetseg.errors import STOPPED, InputError
from unetseg.files import atomic_path
from unetseg.model import keras
from unetseg.parallel import keep_freed_memory
from unetseg.training.average import Average
from unetseg.training.batches import TrainingBatches

FINISHED = "finished"  # a file beside the states
INTERRUPTED = 2  # trainings whose states wait, at up to 100 MB each

Logs = dict[str, float] | None


@dataclass
class History:
    """The epochs of a training so far."""

    epochs: list[dict[str, Any]] = field(default_factory=list)  # one row of history.csv per epoch
    best_epoch: int = 0
    best_dice: float = -1.0
    best_weights: list[np.ndarray] = field(default_factory=list)


class Checkpoint(keras.callbacks.Callback):
    """Track the best epoch and patience across interruptions, which Keras' own callbacks do not survive."""

    def __init__(
        self, training: TrainingBatches, average: Average | None, patience: int, state: Path, *, write: bool = True
    ) -> None:
        """Set the training batches, the average of the weights, and the folder for states.

        Training stops after `patience` epochs without progress. Without `write` another process writes the states.
        """
        super().__init__()
        self.training, self.average, self.patience, self.state = training, average, patience, state
        self.history, self.write = History(), write

    def restore(self, unet: keras.Model) -> int:
        """Load the newest state into a compiled model, if there is one; return the number of finished epochs."""
        unet.optimizer.build(unet.trainable_variables)
        if not (loaded := load_state(self.state)):
            return 0
        facts, arrays = loaded
        self.history = History(facts["history"], facts["best_epoch"], facts["best_dice"], arrays["best"])
        unet.set_weights(arrays["weights"])
        for variable, value in zip(unet.optimizer.variables, arrays["optimizer"], strict=True):
            variable.assign(value)
        if self.average:
            self.average.restore(arrays["trained"])
        if self.write:
            print(f"resumed after epoch {len(self.history.epochs)}", flush=True)
        return len(self.history.epochs)

    def out_of_patience(self) -> bool:
        """Tell whether there was no progress for `patience` epochs."""
        return len(self.history.epochs) - self.history.best_epoch >= self.patience

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Select the batches of this epoch and start the clock."""
        del logs
        self.training.epoch, self.training.begun = epoch, True
        self.started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Undo what TensorFlow set for the memory when it fetched the first batch; stop if a signal was lost."""
        del logs
        if STOPPED.is_set():
            raise KeyboardInterrupt
        if batch == 0:
            keep_freed_memory()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Record the epoch, keep its weights if they are the best, stop if out of patience, save the state."""
        row = {name: float((logs or {})[name]) for name in ("loss", "dice", "val_loss", "val_dice")}
        if not all(math.isfinite(value) for value in row.values()):
            raise InputError(f"epoch {epoch + 1}: the loss is {row['loss']}: try a smaller train.learning_rate")
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = time.monotonic() - self.started
        history = self.history
        history.epochs.append({"epoch": epoch + 1, **row, "learning_rate": rate, "seconds": round(seconds, 3)})
        if row["val_dice"] > history.best_dice:
            history.best_epoch, history.best_dice = epoch + 1, row["val_dice"]
            history.best_weights = self.model.get_weights()
        if self.out_of_patience():
            self.model.stop_training = True
            if history.best_dice <= 0:
                raise InputError(
                    f"validation Dice stayed 0 for {self.patience} epochs, the model predicts all background: try "
                    "train.loss: bce_dice, model.normalization: batch, another train.learning_rate, more train.patience"
                )
        if self.write:
            self._save()

    def _save(self) -> None:
        history = self.history
        facts = {"history": history.epochs, "best_epoch": history.best_epoch, "best_dice": history.best_dice}
        arrays = {
            "weights": self.model.get_weights(),
            "optimizer": [keras.ops.convert_to_numpy(variable) for variable in self.model.optimizer.variables],
            "best": history.best_weights,
            "trained": self.average.trained() if self.average else [],
        }
        save_state(self.state, len(history.epochs), facts, arrays)


def save_state(folder: Path, epoch: int, facts: Mapping[str, Any], arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write the state after an epoch, keep that of the previous epoch, and remove all others, damaged later ones too.

    JSON stores the `facts` exactly; `arrays` are lists by name.
    """
    members: dict[str, Any] = {
        f"{name}/{place:04d}": array for name, group in arrays.items() for place, array in enumerate(group)
    }
    lengths = {name: len(group) for name, group in arrays.items()}
    newest = folder / f"epoch-{epoch:06d}.npz"
    with atomic_path(newest) as path, path.open("wb") as file:
        np.savez(file, facts=np.array(json.dumps([facts, lengths])), **members)
    kept = [state for state in _generations(folder) if state <= newest][:2]
    for other in set(_generations(folder)).difference(kept):
        other.unlink()


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]] | None:
    """Read the newest complete state, or None; report damaged ones on stderr."""
    for path in _generations(folder):
        try:
            with path.open("rb") as whole, np.load(whole) as file:  # a zip has checksums, reading compares them
                facts, lengths = json.loads(str(file["facts"]))  # a damaged zip may hide members without a word
                arrays = {
                    name: [file[f"{name}/{place:04d}"] for place in range(length)] for name, length in lengths.items()
                }
        except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            print(f"{path}: damaged, going back one epoch: {error}", file=sys.stderr)
            continue
        return facts, arrays
    return None


def finish(folder: Path) -> None:
    """Note that the training of these states has ended; remove those of other trainings, in the folders beside it.

    Its own stay: killed before `dvc` has noted the outputs, the stage is run again. So do those of the `INTERRUPTED`
    trainings that were written last, to be resumed.
    """
    (folder / FINISHED).touch()
    others = set(folder.parent.iterdir()) - {folder}
    finished = {other for other in others if (other / FINISHED).exists()}
    interrupted = sorted(others - finished, key=lambda other: other.stat().st_mtime_ns)
    for other in [*finished, *interrupted[:-INTERRUPTED]]:
        shutil.rmtree(other, ignore_errors=True)


def _generations(folder: Path) -> list[Path]:
    """List the states, newest first."""
    return sorted(folder.glob("epoch-*.npz"), reverse=True)
