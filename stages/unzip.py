"""Extract the samples from the archive, safely."""

import sys
import zlib
from pathlib import Path

from unetseg import stage
from unetseg.config import Params, check_against_data
from unetseg.dataset.archive import extract, opened
from unetseg.files import read_text, write_csv, write_text


def main(params: Params, out: Path, listing: Path) -> None:
    """Extract every sample of `data.archive` to `out`, once the parameters fit their number, and list the files."""
    archive, groups = Path(params.data.archive), out / "groups.csv"
    groups.unlink(missing_ok=True)  # of an earlier run, and perhaps of another archive
    with opened(archive, params.data) as contents:
        check_against_data(params, len(contents.ids))
        extract(contents, out)
    table = contents.table
    given = archive.with_name("groups.csv")
    if given.is_file() and not groups.exists():  # the archive's own comes first
        write_text(groups, text := read_text(given))
        table.append({"path": groups.name, "bytes": len(text.encode()), "crc32": f"{zlib.crc32(text.encode()):08x}"})
    write_csv(listing, table, ["path", "bytes", "crc32"])
    if left_out := contents.left_out:
        print(
            f"{archive}: left out {len(left_out)} files that belong to no sample, such as {left_out[0]!r}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    stage.run(main)
