"""Keep the best epoch, stop without progress, and save the state to resume from after a kill."""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unetseg.errors import InputError
from unetseg.training.average import Average
from unetseg.training.batches import TrainingBatches
from unetseg.training.checkpoint import load_state, save_state

Logs = dict[str, float] | None


@dataclass
class Past:
    """The epochs of a training so far."""

    history: list[dict[str, Any]] = field(default_factory=list)  # one row of history.csv per epoch
    best_epoch: int = 0
    best_dice: float = -1.0
    best_weights: list[np.ndarray] = field(default_factory=list)


class Keeper(keras.callbacks.Callback):
    """Track the best epoch and patience across interruptions, which Keras' own callbacks do not survive."""

    def __init__(
        self, training: TrainingBatches, average: Average | None, patience: int, state: Path, *, write: bool = True
    ) -> None:
        """Set the training batches, the average of the weights, and the folder for states.

        Training stops after `patience` epochs without progress. Without `write` another process writes the states.
        """
        super().__init__()
        self.training, self.average, self.patience, self.state = training, average, patience, state
        self.past, self.write = Past(), write

    def restore(self, unet: keras.Model) -> int:
        """Load the newest state into a compiled model, if there is one.

        Returns:
            The number of finished epochs.
        """
        unet.optimizer.build(unet.trainable_variables)
        loaded = load_state(self.state)
        if loaded is None:
            return 0
        facts, arrays = loaded
        self.past = Past(facts["history"], facts["best_epoch"], facts["best_dice"], arrays["best"])
        unet.set_weights(arrays["weights"])
        for variable, value in zip(unet.optimizer.variables, arrays["optimizer"], strict=True):
            variable.assign(value)
        if self.average:
            self.average.restore(arrays["trained"])
        if self.write:
            print(f"resumed after epoch {len(self.past.history)}", flush=True)
        return len(self.past.history)

    def out_of_patience(self) -> bool:
        """Tell whether there was no progress for `patience` epochs."""
        return len(self.past.history) - self.past.best_epoch >= self.patience

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Select the batches of this epoch and start the clock."""
        del logs
        self.training.epoch = epoch
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Record the epoch, keep its weights if they are the best, stop if out of patience, save the state."""
        row = {name: float((logs or {})[name]) for name in ("loss", "dice", "val_loss", "val_dice")}
        if not all(math.isfinite(value) for value in row.values()):
            raise InputError(f"epoch {epoch + 1}: the loss is {row['loss']}: try a smaller train.learning_rate")
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = time.monotonic() - self.started
        past = self.past
        past.history.append({"epoch": epoch + 1, **row, "learning_rate": rate, "seconds": round(seconds, 3)})
        if row["val_dice"] > past.best_dice:
            past.best_epoch, past.best_dice, past.best_weights = epoch + 1, row["val_dice"], self.model.get_weights()
        if self.out_of_patience():
            self.model.stop_training = True
            if past.best_dice <= 0:
                raise InputError(
                    f"validation Dice stayed 0 for {self.patience} epochs, the model predicts all background: try "
                    "train.loss: bce_dice, model.normalization: batch, another train.learning_rate, more train.patience"
                )
        if self.write:
            self._save()

    def _save(self) -> None:
        past = self.past
        facts = {"history": past.history, "best_epoch": past.best_epoch, "best_dice": past.best_dice}
        arrays = {
            "weights": self.model.get_weights(),
            "optimizer": [keras.ops.convert_to_numpy(variable) for variable in self.model.optimizer.variables],
            "best": past.best_weights,
            "trained": self.average.trained() if self.average else [],
        }
        save_state(self.state, len(past.history), facts, arrays)
