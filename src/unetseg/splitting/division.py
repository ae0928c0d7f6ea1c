"""Divide a data set as params.yaml asks: group what belongs together, then share the groups out over the subsets."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from unetseg.config import SplitSettings
from unetseg.dataset.groups import ALL_COLUMNS
from unetseg.splitting.groups import joined, names_groups
from unetseg.splitting.relatives import find_relatives
from unetseg.splitting.splits import describe, experiment_split, share_out, stratum


class Division(NamedTuple):
    """The subset, the group and the stratum of each id, and how far the split can be believed.

    The strata are in the order of the rows. The warnings are lines about the table of groups.
    """

    subsets: dict[str, str]
    groups: dict[str, str]
    strata: dict[str, str]
    report: dict[str, Any]
    warnings: list[str]


def divide(
    settings: SplitSettings,
    rows: Callable[[], Iterable[Mapping[str, Any]]],
    given: Sequence[Mapping[str, str]],
    fingerprints: Shaped[np.ndarray, " n"],
    appearances: Callable[[], Float[np.ndarray, "n statistics"]],
) -> Division:
    """Divide the samples into train, validation and test.

    Args:
        settings: the section `split`.
        rows: gives what samples.csv says of each, however often it is asked; they are not kept.
        given: the user's table of groups; images that it puts in none are grouped by the fields that are found.
        fingerprints: what `unetseg.images.fingerprint` says of each.
        appearances: gives what `unetseg.images.appearance` says of each, for experiments that nobody named.

    Raises:
        InputError: if there are too few samples, groups or experiments.
    """
    relatives = find_relatives([row["id"] for row in rows()], fingerprints)
    strata = {row["id"]: stratum(row["modality"], int(row["height"]), int(row["width"])) for row in rows()}
    groups = joined(given, strata, relatives.pairs)
    told = dict[str, Any]()
    if settings.method == "experiment":
        from unetseg.splitting.experiments import describe_experiments, find_experiments, given_experiments  # noqa: PLC0415 - scikit-learn takes a second

        samples = list(rows())
        experiments, origin = given_experiments(samples, given) or (
            find_experiments(samples, appearances(), groups),
            "kind, size, intensity, colour and sharpness",
        )
        subsets = experiment_split(experiments, groups, strata, **settings.model_dump(exclude={"method", "test"}))
        told = describe_experiments(samples, experiments, subsets, origin)
    else:
        subsets = share_out(groups, strata, **settings.model_dump())
    told |= {
        "method": settings.method,
        "grouped_by": "groups.csv" if names_groups(given) else "fields",
        "images_with_neighbour": relatives.images_with_neighbour,
        "control": relatives.control,
        "threshold": relatives.threshold,
        "duplicates": len(relatives.duplicates),
    }
    told |= describe(subsets, groups, strata, relatives.pairs, settings.seed)
    warnings = list(_unused(given))
    if settings.method != "random":
        table = "a table of groups or sources" if settings.method == "experiment" else "the table of groups"
        warnings += [f"{table} keeps apart {line}" for line in _apart(subsets, relatives.pairs)]
    return Division(subsets, groups, strata, told, warnings)


def _unused(given: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Name the columns of the user's table of which no use is made: a name may be mistyped."""
    if unused := [name for name in (given[0] if given else ()) if name and name not in {"id", *ALL_COLUMNS}]:
        yield f"table of groups: no use is made of {', '.join(unused)}; known columns are {', '.join(ALL_COLUMNS)}"


def _apart(subsets: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Name relatives that only the user's tables can have kept apart."""
    if apart := [pair for pair in pairs if subsets[pair[0]] != subsets[pair[1]]]:
        (first, second), count = apart[0], f"{len(apart)} pairs of images that look like copies or parts of one picture"
        where = f"{first} in {subsets[first]} and {second} in {subsets[second]}"
        yield f"{count}, such as {where}; give them one group, if they are"
