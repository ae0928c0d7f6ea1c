"""Tell whether the results of a revision belong to it.

DVC shows the files of the commit that an experiment started from for as long as its own are not there: for queued,
running and failed work, and for experiments that ran only some stages.
"""

from collections.abc import Iterator, Mapping
from typing import Any


def unfinished(lock: Mapping[str, Any], params: Mapping[str, Any], result: str) -> list[str]:
    """List parameters and stage outputs of a revision that differ from those its result was made from.

    Args:
        lock: the revision's dvc.lock, parsed.
        params: the revision's params.yaml, parsed.
        result: an output, as dvc.yaml names it.

    Returns:
        A parameter or a path for each difference in the stages that lead to the result; none where they cannot tell.
    """
    stages: Mapping[str, Any] = lock.get("stages") or {}
    made = {out["path"]: (name, out) for name, stage in stages.items() for out in stage.get("outs", ())}
    return sorted(set(_differences(stages, made, params, made[result][0]))) if result in made else []


def _differences(
    stages: Mapping[str, Any], made: Mapping[str, tuple[str, Mapping[str, Any]]], params: Mapping[str, Any], name: str
) -> Iterator[str]:
    for file in stages[name].get("params", {}).values():
        yield from (key for key, value in file.items() if _lookup(params, key) != value)
    for dep in stages[name].get("deps", ()):
        if dep["path"] in made:
            maker, out = made[dep["path"]]
            if out.get("md5") != dep.get("md5"):
                yield dep["path"]
            yield from _differences(stages, made, params, maker)


def _lookup(params: Mapping[str, Any], key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
