"""`unetseg sweep`: run an experiment for each combination of values on DVC's queue, and gather what was scored."""

import argparse
import json
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from unetseg.commands.compare import CODE, not_its_own
from unetseg.commands.values import whole
from unetseg.errors import InputError
from unetseg.evaluation.sweeps import (
    DICE,
    Sweep,
    compared_by,
    experiments,
    newest_alone,
    read_sweep,
    score_names,
    summary,
    varied,
)
from unetseg.files import check_output, iter_csv, write_csv
from unetseg.prediction.conflicts import NOT_OURS
from unetseg.provenance import git_problem

DVC = (sys.executable, "-m", "dvc")
EVALUATE = "metrics/evaluate.json"
STATES = ("Queued", "Running", "Success", "Failed")  # of tasks in DVC's queue
DATA = ("data/unzipped.csv", "data/unzipped_groups.csv", "evaluate.external", "pretrained")  # see `read_sweep`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-S",
        dest="values",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="values to combine, such as train.seed=0,1,2 or 'split.fold=range(0,5)'; without any, only gather",
    )
    parser.add_argument(
        "--jobs", type=partial(whole, least=1), default=1, help="experiments that run at once (default: 1)"
    )
    parser.add_argument("--name", help="name of the experiments; DVC adds a number")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("metrics/sweep"),
        help="write OUT.csv, one row per run, and OUT.png, Dice against each varied value (default: metrics/sweep)",
    )


def run(options: argparse.Namespace) -> int:
    if not options.values and (options.name or options.jobs > 1):
        raise InputError("--name and --jobs are of runs: give their values with -S, or neither to gather all runs")
    table, plot = _outputs(options.out)
    earlier, begun = set[str](), None
    if options.values:
        if waiting := [" ".join(task[:2]) for task in _tasks() if task[-1] == "Queued"]:
            rule = "they would run with these; run them first (`dvc queue start`), or `dvc exp remove --queue`"
            raise InputError(f"{len(waiting)} experiments wait in DVC's queue, such as {waiting[0]}: {rule}")
        earlier = {newest.get("rev", "") for _, newest in experiments(_shown())}
        named = ["--name", options.name] if options.name else []
        values = [word for value in options.values for word in ("-S", value)]
        try:
            _dvc("exp", "run", "--queue", *named, *values)
            begun = {task[1] for task in _tasks()}  # and finished ones of before, which `earlier` holds
            _dvc("exp", "run", "--run-all", "--jobs", str(options.jobs))  # waits, unlike `dvc queue start`
        except (InputError, KeyboardInterrupt) as error:  # such as a name in use; those before it would wait there
            _dvc("exp", "remove", "--queue")
            if isinstance(error, KeyboardInterrupt):
                rule = "what has begun goes on; to stop it: dvc queue stop --kill"
                print(f"experiments that waited in DVC's queue are removed; {rule}", file=sys.stderr)
            raise
    sweep = read_experiments(earlier, begun)
    if not sweep.runs:
        if older := [str(path) for path in (table, plot) if path.exists()]:
            print(f"of an earlier sweep, left as it is: {', '.join(older)}", file=sys.stderr)
        if options.values:
            raise InputError("none of the runs that this sweep began was scored")
    print("\n".join(summary(sweep.runs)))
    names = varied(sweep.runs)
    scores = score_names(each.scores for each in sweep.runs)
    rows = [
        {"name": each.name}
        | {name: each.params.get(name) for name in names}
        | {name: each.scores.get(name) for name in scores}
        for each in sweep.runs
    ]
    write_csv(table, rows, ["name", *names, *scores])
    if names:
        from unetseg.report.charts import draw_sweep  # noqa: PLC0415 - matplotlib takes a second

        draw_sweep(plot, rows, names, compared_by(names))
    else:
        plot.unlink(missing_ok=True)  # of an earlier sweep
    return int(bool(sweep.unfinished))


def _outputs(out: Path) -> tuple[Path, Path]:
    """Name the table and the plot to write.

    Raises:
        InputError: if something stands in the place of one that no sweep wrote.
    """
    stem = out.with_suffix("") if out.suffix in (".csv", ".png") else out
    table, plot = Path(f"{stem}.csv"), Path(f"{stem}.png")
    for path in (table, plot):
        check_output(path)
    ours = False
    with suppress(InputError, FileNotFoundError):  # it is no table, or not there
        ours = {"name", DICE} <= next(iter_csv(table), {}).keys()
    for path in (table, plot):
        if path.exists() and not ours:
            raise InputError(f"{path}: {NOT_OURS}")
    return table, plot


def read_experiments(but: Collection[str] = (), names: Collection[str] | None = None) -> Sweep:
    """Read the experiments of the commit that is checked out; name on stderr what does not count.

    Args:
        but: revisions of experiments to pass over.
        names: those of the experiments to read; None for all.

    Raises:
        InputError: if DVC cannot list them.
    """
    sweep = read_sweep(
        _shown(),
        EVALUATE,
        data=DATA,
        code=CODE,
        scored=lambda revision: not not_its_own(revision, EVALUATE),
        but=but,
        names=names,
    )
    for name, state in sweep.unfinished.items():
        print(f"left out, not scored: {name}: {state}", file=sys.stderr)
    kept = newest_alone(sweep.runs)
    if older := len(sweep.runs) - len(kept):
        print(f"left out, older runs with all values, data and code of a newer one: {older}", file=sys.stderr)
    return sweep._replace(runs=kept)


def _tasks() -> list[list[str]]:
    """List the tasks of the queue, of any commit: DVC shows only those of the present one as experiments.

    Returns:
        For each the words of its line: first id and name, last the state.
    """
    told = subprocess.run([*DVC, "queue", "status"], capture_output=True, text=True, check=False).stdout
    return [words for words in map(str.split, told.splitlines()) if words and words[-1] in STATES]


def _shown() -> list[dict[str, Any]]:
    shown = subprocess.run([*DVC, "exp", "show", "--json"], capture_output=True, text=True, check=False)
    if shown.returncode:
        raise InputError(git_problem(Path()) or f"dvc exp show failed: {shown.stderr.strip()}")
    return list(json.loads(shown.stdout))


def _dvc(*words: str) -> None:
    """Run dvc; what it prints goes to stderr, so that stdout holds the table alone."""
    if subprocess.run([*DVC, *words], stdout=sys.stderr, check=False).returncode:
        raise InputError(f"dvc {' '.join(words)} failed: see above")
