"""Split the samples into train, validation and test."""

from pathlib import Path

import numpy as np

from unetseg import stage
from unetseg.config import Params
from unetseg.files import read_csv, write_csv, write_json
from unetseg.splitting.experiments import describe_experiments, find_experiments, given_experiments
from unetseg.splitting.groups import connected, joined
from unetseg.splitting.relatives import find_relatives
from unetseg.splitting.splits import describe, experiment_split, share_out, stratum


def main(params: Params, samples: Path, groups: Path, out: Path, report: Path) -> None:
    """Write the subset, the group and the stratum of each sample, and how far the split can be believed."""
    rows = read_csv(samples / "samples.csv")
    strata = {row["id"]: stratum(row["modality"], int(row["height"]), int(row["width"])) for row in rows}
    relatives = find_relatives(list(strata), np.load(samples / "traits.npy", mmap_mode="r"))
    given = read_csv(groups)
    grouped = joined(given, strata) if given else connected(strata, relatives.pairs)
    wanted, told = params.split.model_dump(), {}
    if params.split.method == "experiment":
        experiments, origin = given_experiments(rows, given) or (
            find_experiments(rows, np.load(samples / "images.npy", mmap_mode="r"), grouped),
            "kind, size, intensity, colour and sharpness",
        )
        del wanted["method"], wanted["test"]
        subsets = experiment_split(experiments, grouped, strata, **wanted)
        told = describe_experiments(rows, experiments, subsets, origin)
    else:
        subsets = share_out(grouped, strata, **wanted)
    table = [{"id": name, "subset": subsets[name], "group": grouped[name], "stratum": strata[name]} for name in strata]
    write_csv(out, table, ["id", "subset", "group", "stratum"])
    summary = told | {
        "method": params.split.method,
        "grouped_by": "groups.csv" if given else "fields",
        "images_with_neighbour": relatives.images_with_neighbour,
        "control": relatives.control,
        "threshold": relatives.threshold,
        "duplicates": len(relatives.duplicates),
    }
    write_json(report, summary | describe(subsets, grouped, strata, relatives.pairs, seed=params.split.seed))


if __name__ == "__main__":
    stage.run(main)
