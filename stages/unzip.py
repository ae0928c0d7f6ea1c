"""Extract the samples from the archive, safely."""

import sys
from pathlib import Path

from unetseg import stage
from unetseg.files import write_text
from unetseg.params import Params, check_against_data
from unetseg.samples.archive import extract, opened


def main(params: Params, archive: Path, out: Path) -> None:
    """Extract every sample of the archive to `out`, once the parameters are known to fit their number."""
    data = params.data
    with opened(
        archive, max_members=data.max_members, max_gigabytes=data.max_gigabytes, max_ratio=data.max_ratio
    ) as contents:
        check_against_data(params, len(contents.ids))
        extract(contents, out)
    groups, given = out / "groups.csv", archive.with_name("groups.csv")
    if given.is_file() and not groups.exists():  # the archive's own comes first
        write_text(groups, given.read_text(encoding="utf-8-sig"))
    if left_out := contents.left_out:
        print(f"{archive}: left out {len(left_out)} files of no sample, such as {left_out[0]!r}", file=sys.stderr)


if __name__ == "__main__":
    stage.run(main)
