"""Where samples stand in an archive or folder tree: `<id>/images/<image>` and `<id>/masks/<mask>`."""

import dataclasses
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

KINDS = ("images", "masks")
GROUPS = "groups.csv"  # columns id and some of group, patient, slide, plate
SOURCES = "sources.csv"  # columns id,source: which laboratory, microscope or data set an image came from
TABLES = (GROUPS, SOURCES)  # optional, beside the samples
WANTED = "expected <id>/images/<image> and <id>/masks/<mask>, at the archive's root or all under one folder"
IMPORT = "`unetseg import` makes such an archive of other forms: unetseg import {archive} --out my.zip"
ICON = "Icon\r"  # in a folder that was given an icon in Finder
CLUTTER_FOLDERS = {"__MACOSX", ".ipynb_checkpoints", "@eaDir"}
CLUTTER = {".ds_store", "thumbs.db", "desktop.ini", ICON.lower(), ".gitkeep", ".gitignore", ".keep"}
LONGEST_ID = 200  # bytes; files are named after samples, with endings of their own


@dataclasses.dataclass(frozen=True)
class Layout:
    """What belongs to the samples.

    Attributes:
        paths: the name of each member to unpack, by its path below the folder of samples; a folder's ends with '/'.
        left_out: names of the files that belong to no sample, without the clutter.
        faults: names of members in a sample's way, each with the rule that it breaks; None for the archive as a whole.
    """

    paths: dict[str, str]
    left_out: list[str]
    faults: list[tuple[str | None, str]]

    @property
    def ids(self) -> list[str]:
        """List the samples, sorted."""
        return sorted({path.split("/")[0] for path in self.paths if path not in TABLES})


def find_layout(names: Iterable[str]) -> Layout:
    """Find the samples among the names of an archive's members; a folder's name ends with '/'."""
    kept = [name for name in names if not is_clutter(name)]
    roots = sorted(
        {"".join(f"{part}/" for part in parts[:-3]) for name in kept if _is_sample(parts := name.split("/"))}
    )
    root = roots[0] if roots else ""
    found = Layout({}, [], list(_root_faults(roots, kept)))
    for name in kept:
        path = name.removeprefix(root)
        parts = path.split("/")
        if found.paths.get(path, name) != name:
            found.faults.append((name, "is there twice, at the archive's root and beside the samples"))
        elif path in TABLES or (len(parts) == 3 and parts[1] in KINDS):
            found.paths[path] = name
        elif len(parts) == 2 and parts[1] in KINDS:
            found.faults.append((name, "is a file where a folder should be"))
        elif len(parts) > 3 and parts[1] in KINDS:
            found.faults.append((name, "is in a folder where a file should be"))
        elif not name.endswith("/"):
            found.left_out.append(name)
    for name in found.ids:
        found.faults.extend((name, f"is the id of a sample and {rule}; rename its folder") for rule in id_faults(name))
    return found


def id_faults(name: str) -> Iterator[str]:
    """Say which rules a sample's id breaks."""
    if name.startswith("."):
        yield "begins with a dot, which hides it"
    if (length := len(name.encode(errors="replace"))) > LONGEST_ID:
        yield f"is {length} bytes long, more than {LONGEST_ID}"


def is_clutter(name: str) -> bool:
    """Tell what archivers and file managers add from what the user packed."""
    *folders, last = name.split("/")
    return last.lower() in CLUTTER or last.startswith("._") or not CLUTTER_FOLDERS.isdisjoint(folders)


def is_clutter_here(name: str) -> bool:
    """Tell a file or folder that is clutter by its name alone; of this project, what is being written or was noted."""
    return is_clutter(name) or is_clutter(f"{name}/") or name.startswith(".unetseg")


def _is_sample(parts: Sequence[str]) -> bool:
    return len(parts) >= 3 and parts[-2] in KINDS


def _root_faults(roots: Sequence[str], names: Sequence[str]) -> Iterator[tuple[None, str]]:
    """Tell samples that are nowhere, in several places, or whose images and masks are in two folders for all."""
    images = {name for name in names if _is_sample(parts := name.split("/")) and parts[-2] == "images" and parts[-1]}
    folders = {name.rpartition("/")[0] for name in images}
    if not roots:
        some = ", ".join(repr(name)[:100] for name in names[:3]) or "nothing"
        yield None, f"no sample found: {WANTED}; it holds {some}. {IMPORT}"
    elif len(roots) > 1:
        places = " and ".join(repr(root)[:100] for root in roots[:2])
        yield None, f"samples stand in {len(roots)} places, such as {places}: {WANTED}"
    elif len(images) >= 2 * max(len(folders), 1):
        yield None, f"{len(images)} images stand in {len(folders)} folders: {WANTED}. {IMPORT}"


def nfc(text: str) -> str:
    """Give names one Unicode form: macOS writes another one than most people type."""
    return unicodedata.normalize("NFC", text)
