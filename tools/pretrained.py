"""Make pretrained/nuclei.keras from its two data sets.

    python tools/pretrained.py data/stage1_train.zip data/nuinsseg.zip

First presets/laptop.yaml on stage1_train; from its weights presets/travel.yaml on crops of both data sets; then the
epochs of WHOLE on whole tiles. The grouped test subset of stage1_train
(seed 0) and a fifth of NuInsSeg are held out, as stage1_test.zip and nuinsseg_test.zip in the work folder. Called again
after an interruption, training goes on where it was.
"""

import argparse
import hashlib
import zipfile
from pathlib import Path

import cv2
import numpy as np
import yaml

import unetseg.training  # noqa: F401 - before Keras, whose convolutions it chooses
from unetseg.config import Params
from unetseg.dataset.archive import extract, opened
from unetseg.dataset.arrays import write_arrays
from unetseg.dataset.samples import find_samples, read_sample
from unetseg.files import atomic_path, read_csv, write_csv
from unetseg.model.facts import read_facts
from unetseg.model.file import load_model, save_model
from unetseg.parallel import in_processes
from unetseg.params_file import load_params
from unetseg.provenance import provenance
from unetseg.splitting.groups import connected
from unetseg.splitting.relatives import find_relatives
from unetseg.splitting.splits import share_out, stratum
from unetseg.training.batches import open_batches
from unetseg.training.fit import train

ROOT = Path(__file__).resolve().parents[1]
CROPS = 32  # epochs on crops
LARGE = 30.0  # pixels; an image whose nuclei are wider, in the median, is halved until they are not
WHOLE = (  # then on whole tiles, each time from the last weights: epochs, learning rate, share of negatives
    (8, 0.001, 0.0),
    (6, 0.001, 0.15),
    (26, 0.0015, 0.15),
    (14, 0.0012, 0.3),
)


def recipe(preset: str) -> Params:
    """Read params.yaml with the values of a preset."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, changed in yaml.safe_load((ROOT / "presets" / preset).read_text(encoding="utf-8")).items():
        values[section] |= changed
    return Params.model_validate(values)


def unpack(archive: Path, out: Path) -> Path:
    """Extract the samples of an archive, unless they are there."""
    if not out.exists():
        with opened(archive, load_params().data) as contents:
            extract(contents, out)
    return out


def grouped(samples: Path, arrays: Path, params: Params) -> dict[str, str]:
    """Share out one archive's samples as the stages `preprocess` and `split` do."""
    if not arrays.exists():
        write_arrays(samples, arrays, size=256, skip_bad=False)
    rows = read_csv(arrays / "samples.csv")
    strata = {row["id"]: stratum(row["modality"], int(row["height"]), int(row["width"])) for row in rows}
    pairs = find_relatives(list(strata), np.load(arrays / "fingerprints.npy", mmap_mode="r")).pairs
    return share_out(connected(strata, pairs), strata, **params.split.model_dump())


def hashed(samples: Path) -> dict[str, str]:
    """Share out samples by the hash of their names: a fifth to test, a tenth of the others to validation."""
    subsets = {}
    for folder in find_samples(samples):
        number = int(hashlib.sha256(folder.name.encode()).hexdigest(), 16)
        others = "validation" if number // 5 % 10 == 0 else "train"
        subsets[folder.name] = "test" if number % 5 == 0 else others
    return subsets


def halve(folders: tuple[Path, Path]) -> None:
    """Write a sample with an image small enough for its nuclei, and one mask for all of them."""
    source, out = folders
    sample = read_sample(source)
    image, mask = sample.image, (sample.labels > 0).astype(np.uint8)
    areas = np.bincount(sample.labels.ravel())[1:]
    if len(areas[areas > 0]) == 1:  # one mask file for all
        areas = cv2.connectedComponentsWithStats(mask)[2][1:, cv2.CC_STAT_AREA]
    width = 2 * np.sqrt(np.median(areas[areas > 0]) / np.pi) if (areas > 0).any() else 0.0
    while width > LARGE:
        height, width = image.shape[0] // 2, width / 2
        size = (image.shape[1] // 2, height)
        image, mask = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (image, mask * 255))
        mask = (mask > 127).astype(np.uint8)
    for name, pixels in (("images", image[..., ::-1]), ("masks", mask * 255)):
        (out / name).mkdir(parents=True)
        cv2.imwrite(str(out / name / f"{out.name}.png"), pixels)


def pack(folder: Path, names: list[str], out: Path) -> None:
    """Write the samples of these names into an archive, for `unetseg evaluate`."""
    if out.exists():
        return
    with atomic_path(out) as beside, zipfile.ZipFile(beside, "w") as archive:
        for name in sorted(names):
            for file in sorted((folder / name).glob("*/*")):
                archive.write(file, file.relative_to(folder))


def prepare(stage1: Path, nuinsseg: Path, work: Path, params: Params) -> None:
    """Write the arrays and the split to train on."""
    folders = [unpack(archive, work / name) for archive, name in ((stage1, "stage1_train"), (nuinsseg, "nuinsseg"))]
    subsets = grouped(folders[0], work / "stage1_arrays", params) | hashed(folders[1])
    rows = [{"id": name, "subset": subset, "group": name, "stratum": ""} for name, subset in subsets.items()]
    write_csv(work / "split.csv", rows, ["id", "subset", "group", "stratum"])
    for folder, name in zip(folders, ("stage1_test", "nuinsseg_test"), strict=True):
        own = [sample.name for sample in find_samples(folder)]
        pack(folder, [each for each in own if subsets[each] == "test"], work / f"{name}.zip")
    if not (work / "samples").exists():
        with atomic_path(work / "samples") as beside:
            pairs = [(sample, beside / sample.name) for folder in folders for sample in find_samples(folder)]
            list(in_processes(halve, pairs))
    if not (work / "arrays").exists():
        write_arrays(work / "samples", work / "arrays", size=params.image.size, skip_bad=False, tiles=True)


def changed(params: Params, start: Path | str, negative: float = 0.0, **train: float) -> Params:
    """Start from the weights of a model, with other values of `train` and another share of negatives."""
    sections = {
        "train": params.train.model_copy(update={"start_from": str(start), **train}),
        "augment": params.augment.model_copy(update={"negative": negative}),
    }
    return params.model_copy(update=sections)


def trained(params: Params, work: Path, arrays: str, out: Path) -> Path:
    """Train by a recipe on one of the folders of arrays, unless the model is there; return its file."""
    if out.exists():
        return out
    batches = open_batches(
        work / arrays, work / "split.csv", mode=params.image.mode, settings=params.train, strength=params.augment
    )
    state = work / f"state_{out.stem}"
    model, history = train(*batches, size=params.image.size, model=params.model, settings=params.train, state=state)
    write_csv(out.with_suffix(".csv"), history.epochs, list(history.epochs[0]))
    best = history.epochs[history.best_epoch - 1]
    save_model(out, model, {"best": {name: best[name] for name in ("epoch", "loss", "dice", "val_loss", "val_dice")}})
    return out


def main() -> None:
    """Train on stage1_train alone, then on both; save the weights rounded to 16 bits, which zip packs to half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage1_train", type=Path)
    parser.add_argument("nuinsseg", type=Path)
    parser.add_argument("--work", type=Path, default=ROOT / "data" / "pretrained", help="folder for intermediate files")
    parser.add_argument("--out", type=Path, default=ROOT / "pretrained" / "nuclei.keras")
    options = parser.parse_args()
    params, work = recipe("travel.yaml"), options.work
    prepare(options.stage1_train, options.nuinsseg, work, params)
    first = changed(recipe("laptop.yaml"), "")  # the shipped model saw no negatives yet
    last = trained(first, work, "stage1_arrays", work / "start.keras")
    params = changed(params, last, epochs=CROPS, crop_epochs=CROPS)
    last = trained(params, work, "arrays", work / "crops.keras")
    for number, (epochs, rate, negative) in enumerate(WHOLE):
        params = changed(params, last, negative, epochs=epochs, crop_epochs=0, learning_rate=rate)
        last = trained(params, work, "arrays", work / f"whole{number}.keras")
    model = load_model(last)
    model.set_weights([weight.astype(np.float16).astype(np.float32) for weight in model.get_weights()])
    wanted = params.model_dump(include={"image", "model", "augment"})
    wanted["train"] = params.train.model_dump(exclude={"start_from"})
    origin = provenance(wanted, [*sorted((work / "arrays").iterdir()), work / "split.csv"])
    save_model(options.out, model, {"run": origin, "trained_with": wanted, "best": read_facts(last)["best"]})


if __name__ == "__main__":
    main()
