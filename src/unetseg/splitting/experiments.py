"""Which experiment (microscope, stain, magnification) an image is from: as its user says, or as its pixels tell."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from unetseg.splitting.splits import stratum

Rows = Sequence[Mapping[str, Any]]  # of samples.csv

MOST = 20  # experiments that are looked for


def given_experiments(rows: Rows, groups: Sequence[Mapping[str, str]]) -> tuple[dict[str, str], str] | None:
    """Take the experiments that the user named: column `experiment` of groups.csv, else the sources in samples.csv.

    One source for all is none: `unetseg import` notes it of each image. Upper and lower case are one.

    Returns:
        The experiment of each id ("unknown" where there is none), and where they come from; None if there are none.
    """
    named = {row["id"]: row["experiment"].casefold() for row in groups if row.get("experiment")}
    sources = {row["id"]: row["source"].casefold() for row in rows if row.get("source")}
    for found, origin, least in ((named, "groups.csv", 1), (sources, "sources.csv", 2)):
        told = {row["id"]: found.get(row["id"], "unknown") for row in rows}
        if found and len({*told.values()}) >= least:
            return told, origin
    return None


def find_experiments(
    rows: Rows, appearances: Float[np.ndarray, "n statistics"], groups: Mapping[str, str]
) -> dict[str, str]:
    """Tell experiments apart by kind, image size, intensities, colour and sharpness.

    Groups of images (fields) are described by the mean of their images, so that none falls apart; images of another
    kind or size, to the nearest half octave, are never in one experiment. Within each such stratum Ward's method joins
    the groups, into as many clusters as have the best silhouette (Rousseeuw 1987), or one where that is below 0.25, its
    limit for "no substantial structure".

    `appearances` are what `unetseg.images.appearance` says of the image of each row.

    Returns:
        The experiment of each id, named by its stratum and a number.
    """
    scaled = StandardScaler().fit_transform(appearances)
    strata: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, row in enumerate(rows):
        kind = stratum(row["modality"], int(row["height"]), int(row["width"]))
        strata[kind][groups[row["id"]]].append(place)
    found: dict[str, str] = {}
    for kind, fields in sorted(strata.items()):
        means = np.array([scaled[places].mean(axis=0) for places in fields.values()])
        for places, cluster in zip(fields.values(), _clusters(means), strict=True):
            found |= {rows[place]["id"]: f"{kind}-{cluster}" for place in places}
    return found


def describe_experiments(
    rows: Rows, experiments: Mapping[str, str], subsets: Mapping[str, str], origin: str
) -> dict[str, Any]:
    """Say of each experiment how many images it has, of which kinds and sizes, and in which subsets they are."""
    members: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        members[experiments[row["id"]]].append(row)
    return {
        "found_by": origin,
        "experiments": {
            name: {
                "images": len(theirs),
                "kinds": Counter(row["modality"] for row in theirs),
                "sizes": Counter(f"{row['height']}x{row['width']}" for row in theirs),
                "subsets": Counter(subsets[row["id"]] for row in theirs),
            }
            for name, theirs in sorted(members.items())
        },
    }


def _clusters(points: Float[np.ndarray, "groups statistics"]) -> Int[np.ndarray, " groups"]:
    best, labels = 0.25, np.zeros(len(points), np.int64)
    for count in range(2, min(MOST, len(points) - 1) + 1):
        tried = AgglomerativeClustering(count).fit_predict(points)
        if (score := silhouette_score(points, tried)) > best:
            best, labels = score, tried
    return np.asarray(labels, np.int64)
