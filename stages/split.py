"""Split the samples into train, validation and test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unetseg import stage
from unetseg.config import Params, check_scored
from unetseg.files import iter_csv, read_csv, write_csv, write_json
from unetseg.images.appearance import appearance
from unetseg.splitting.division import divide

USED = ("id", "height", "width", "modality", "source")  # columns of samples.csv, whose rows are those of the arrays


def main(params: Params, samples: Path, groups: Path, out: Path, report: Path) -> None:
    """Write the subset, the group and the stratum of each sample, and how far the split can be believed."""
    check_scored(params.split, Path(params.evaluate.external))  # `unzip` does, and does not run for a change of `split`

    def rows() -> Iterator[dict[str, str]]:
        return iter_csv(samples / "samples.csv", USED)

    def appearances() -> np.ndarray:
        images = np.load(samples / "images.npy", mmap_mode="r")
        return np.array([appearance(image) for image in images])

    fingerprints = np.load(samples / "fingerprints.npy", mmap_mode="r")
    divided = divide(params.split, rows, read_csv(groups), fingerprints, appearances)
    for line in divided.warnings:
        print(f"warning: {line}", file=sys.stderr)
    table = (
        {"id": each, "subset": divided.subsets[each], "group": divided.groups[each], "stratum": stratum}
        for each, stratum in divided.strata.items()
    )
    write_csv(out, table, ["id", "subset", "group", "stratum"])
    write_json(report, divided.report)


if __name__ == "__main__":
    stage.run(main)
