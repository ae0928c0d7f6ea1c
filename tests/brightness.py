"""A model that finds bright pixels without training, and samples for it, from arrays to files."""

import cv2
import numpy as np

from unetseg.dataset.arrays import tiles_file
from unetseg.dataset.subsets import TRUTH, packed
from unetseg.dataset.tiles import cut
from unetseg.files import write_csv
from unetseg.images.fingerprint import fingerprint
from unetseg.model import keras

SIZE = 16


def brightness_model(offset=-4.0):
    """Say foreground where the red channel is bright, and a little less surely from top to bottom."""
    image = keras.Input((SIZE, SIZE, 3))
    fading = np.linspace(0, 1, SIZE, dtype=np.float32)[None, :, None, None] * np.ones((1, SIZE, SIZE, 1), np.float32)
    output = keras.ops.sigmoid(image[..., :1] / 16 + offset - keras.ops.convert_to_tensor(fading))
    return keras.Model(image, output)


def write_samples(folder, subsets):
    """Write arrays, split and sample folders of images with one bright square each, twice as wide as high."""
    natives = []
    rng = np.random.default_rng(0)
    arrays, samples = folder / "arrays", folder / "samples"
    arrays.mkdir()
    labels = np.zeros((len(subsets), SIZE, SIZE), np.uint16)
    rows, split = [], []
    for index, subset in enumerate(subsets):
        top, left = rng.integers(1, SIZE - 8, 2)
        labels[index, top : top + 7, left : left + 7] = 1
        native = np.repeat((labels[index] > 0).astype(np.uint8) * 255, 2, axis=1)
        natives.append(native)
        for kind, pixels in (("images", np.stack([native] * 3, axis=2)), ("masks", native)):
            path = samples / f"s{index}" / kind / "1.png"
            path.parent.mkdir(parents=True)
            assert cv2.imwrite(str(path), pixels)
        rows.append({"index": index, "id": f"s{index}", "height": SIZE, "width": 2 * SIZE, "channels": 3,
                     "pixel_size": "", "objects": 1, "foreground": 49 / 256, "modality": "dark_grey",
                     "image": "x"})  # fmt: skip
        split.append({"id": f"s{index}", "subset": subset, "group": f"g{index}", "stratum": "a"})
    images = np.repeat((labels > 0)[..., None], 3, axis=3).astype(np.uint8) * 255
    for name, array in (("images", images), ("masks", (labels > 0).astype(np.uint8)), ("labels", labels)):
        np.save(arrays / f"{name}.npy", array)
    write_csv(arrays / "samples.csv", rows, list(rows[0]))
    np.save(arrays / "fingerprints.npy", np.stack([fingerprint(np.stack([native] * 3, axis=2)) for native in natives]))
    np.save(arrays / TRUTH, np.concatenate([packed(native) for native in natives]))
    with tiles_file(arrays, SIZE) as add:
        for row, native in zip(rows, natives, strict=True):
            for tile in cut(row["id"], np.stack([native] * 3, axis=2), native.astype(np.uint16), SIZE):
                add(tile)
    write_csv(folder / "split.csv", split, list(split[0]))
    return arrays, samples, folder / "split.csv"
