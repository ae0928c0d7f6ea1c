"""Turn the samples into arrays: images, binary masks and label maps of one size."""

import sys
from pathlib import Path

from unetseg import files, stage
from unetseg.config import Params
from unetseg.dataset.arrays import write_arrays
from unetseg.dataset.listing import check_listed
from unetseg.parallel import prepare_processes


def main(params: Params, samples: Path, listing: Path, out: Path, report: Path) -> None:
    """Write the arrays of every sample below `samples` into `out`, and what is wrong with samples into `report`.

    `samples` have to be as `unzip` listed them.
    """
    prepare_processes(len(list(samples.iterdir())), write_arrays.__module__)
    check_listed(samples, listing)
    image, data = params.image, params.data
    findings = write_arrays(
        samples,
        out,
        size=image.size,
        skip_bad=data.on_bad_sample == "skip",
        tiles=image.mode == "tiles",
        channel=data.channel,
        project=data.project,
    )
    for line in findings.first_lines():
        print(line, file=sys.stderr)
    files.write_json(report, findings.as_json())


if __name__ == "__main__":
    stage.run(main)
