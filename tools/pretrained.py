"""Make pretrained/nuclei.keras of a trained model: weights rounded to 16 bits, which zip packs to half.

Run as `python tools/pretrained.py models/unet_model.keras`.
"""

import sys
from pathlib import Path

import numpy as np

from unetseg.model.file import load_model, read_facts, save_model

OUT = Path(__file__).parents[1] / "pretrained" / "nuclei.keras"


def main(source: Path) -> None:
    """Round the weights and keep the facts of the model's origin."""
    model = load_model(source)
    model.set_weights([weight.astype(np.float16).astype(np.float32) for weight in model.get_weights()])
    save_model(OUT, model, read_facts(source))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
