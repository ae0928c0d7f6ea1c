"""Score a whole archive that a model has nothing to do with: an external test set."""

import shutil
import sys
from pathlib import Path

import numpy as np

from unetseg.config import DataSettings
from unetseg.dataset.archive import extract, opened
from unetseg.dataset.arrays import growing, write_arrays
from unetseg.dataset.groups import own_groups
from unetseg.dataset.problems import ANOTHER, of_archive
from unetseg.dataset.subsets import Truth
from unetseg.errors import InputError
from unetseg.evaluation.evaluation import Evaluation, predict_subset, score, wrong_pixels
from unetseg.files import read_csv, write_csv
from unetseg.images.fingerprint import FINGERPRINT
from unetseg.prediction.predictor import Predictor
from unetseg.prediction.settings import Tuning
from unetseg.prediction.zoom import Zooming
from unetseg.splitting.groups import connected, joined
from unetseg.splitting.relatives import BLOCK, find_relatives


def evaluate_archive(
    predictor: Predictor,
    tuning: Tuning,
    archive: Path,
    out: Path,
    *,
    data: DataSettings,
    setting: str | None = "evaluate.external",
    bootstrap: int,
    seed: int,
) -> Evaluation:
    """Predict every image of an archive as `unetseg predict` does with these tuned values, and score it.

    Makes the folder `out`, of `arrays` (see `unetseg.dataset.arrays.write_arrays`) and `predictions` (see
    `predict_subset`). The 95 % intervals are over fields, or the groups of the archive's groups.csv. `setting` is that
    of `unetseg.dataset.archive.opened`.

    Raises:
        InputError: naming the archive, if it cannot be read, or with a line for each sample that cannot be used.
    """
    samples, natives, arrays, split = (out / name for name in ("samples", "natives", "arrays", "split.csv"))
    out.mkdir(parents=True)
    with opened(archive, data, setting) as contents:
        extract(contents, samples)
        for line in contents.told_left_out():
            print(f"{archive}: {line}", file=sys.stderr)
    try:
        together = own_groups(samples, contents.ids)
        findings = write_arrays(
            samples,
            arrays,
            size=predictor.size,
            skip_bad=data.on_bad_sample == "skip",
            tiles=True,
            channel=data.channel,
            project=data.project,
        )
    except InputError as error:
        lines = [*str(error).splitlines(), *([ANOTHER] if setting else [])]
        raise InputError(*of_archive(archive, samples, lines)) from error
    for line in of_archive(archive, samples, findings.first_lines()):
        print(line, file=sys.stderr)
    zooming = Zooming(tuning.settings(), tuning)
    wrong = wrong_pixels(known := read_csv(arrays / "samples.csv"), predictor.size, zooming)
    lines = [f"{archive}: {name}: {line}" for name, line in wrong.items()]
    if wrong and (data.on_bad_sample == "error" or len(wrong) == len(known)):
        raise InputError(*lines)
    for line in lines:
        print(f"left out: {line}", file=sys.stderr)
    ids = [row["id"] for row in known]
    groups = joined(together, ids, find_relatives(ids, np.load(arrays / "fingerprints.npy", mmap_mode="r")).pairs)
    rows = [{"id": name, "subset": archive.stem, "group": group} for name, group in groups.items() if name not in wrong]
    write_csv(split, rows, ("id", "subset", "group"))
    subset = predict_subset(
        predictor, arrays, split, name=archive.stem, out=out / "predictions", natives=natives, zooming=zooming
    )
    found = score(subset, Truth(arrays), tuning, bootstrap=bootstrap, seed=seed)
    for scratch in (samples, natives):
        shutil.rmtree(scratch)
    for scratch in (split, *arrays.glob("tile*")):
        scratch.unlink()
    return found


def seen_before(arrays: Path, split: Path, external: Path) -> dict[str, str]:
    """Find the images of an external test set that show what a training or validation image shows, by their ids.

    These are copies and neighbouring fields, as `unetseg.splitting.relatives` finds them, and their copies and
    neighbours in turn.

    Args:
        arrays: what `preprocess` wrote.
        split: which of these samples are trained on.
        external: the arrays of the external archive.

    Returns:
        For each of these images one that is trained on.
    """
    used = {row["id"] for row in read_csv(split) if row["subset"] in ("train", "validation")}
    ids = [(folder, row["id"]) for folder in (arrays, external) for row in read_csv(folder / "samples.csv")]
    names = {f"{folder} {name}": (folder, name) for folder, name in ids}
    with growing(both := external / "both.npy", FINGERPRINT, ()) as add:  # mapped, they need no memory
        for folder in (arrays, external):
            stored = np.load(folder / "fingerprints.npy", mmap_mode="r")
            for start in range(0, len(stored), BLOCK):
                add(stored[start : start + BLOCK])
    found = find_relatives(list(names), np.load(both, mmap_mode="r"))
    both.unlink()
    groups = connected(names, found.pairs)
    trained = {key: name for key, (folder, name) in names.items() if folder == arrays and name in used}
    like = {groups[key]: name for key, name in trained.items()}
    both_ways = [pair for first, second in found.pairs for pair in ((first, second), (second, first))]
    nearest = {key: trained[other] for key, other in both_ways if other in trained}
    return {
        name: nearest.get(key, like[groups[key]])
        for key, (folder, name) in names.items()
        if folder == external and groups[key] in like
    }
