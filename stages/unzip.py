"""Extract the samples from the archive, safely."""

import sys
from pathlib import Path

from unetseg import stage
from unetseg.config import Params, check_against_data
from unetseg.dataset.archive import check_external, extract, opened
from unetseg.dataset.groups import find_groups
from unetseg.dataset.listing import write_listing
from unetseg.files import write_csv


def main(params: Params, out: Path, listing: Path, groups: Path) -> None:
    """Extract every sample of `data.archive`, once the parameters fit their number; list the files and the groups.

    The list of files in `evaluate.external` is checked too, so that a wrong archive is told before the training.
    """
    archive = Path(params.data.archive)
    with opened(archive, params.data) as contents:
        check_against_data(params, len(contents.ids))
        check_external(Path(params.evaluate.external), params.data)
        extract(contents, out)
    together = find_groups(params.data, archive, out, contents.ids)
    write_csv(groups, together, list(together[0]) if together else ["id", "group"])
    write_listing(listing, contents)
    for line in contents.told_left_out():
        print(f"{archive}: {line}", file=sys.stderr)


if __name__ == "__main__":
    stage.run(main)
