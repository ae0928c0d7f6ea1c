"""Train the U-Net on the training subset and keep the epoch that does best on the validation subset."""

import contextlib
from pathlib import Path

import unetseg.training  # noqa: F401 - before Keras, whose convolutions it chooses
from unetseg import stage
from unetseg.config import Params
from unetseg.errors import InputError
from unetseg.files import atomic_path, write_csv, write_json
from unetseg.model import keras
from unetseg.model.file import save_model
from unetseg.provenance import code_digest, digest, provenance
from unetseg.training.batches import open_batches
from unetseg.training.checkpoint import finish
from unetseg.training.devices import devices
from unetseg.training.fit import train
from unetseg.training.workers import is_worker, start_workers

HISTORY = ("epoch", "loss", "dice", "val_loss", "val_dice", "learning_rate")  # no seconds: the same run, the same file


def main(
    params: Params, arrays: Path, split: Path, starts: Path, model: Path, history: Path, metrics: Path, state: Path
) -> None:
    """Train on `arrays` as `split` says; `state` holds what a kill must not lose until the outputs are written."""
    if params.train.distribute == "data_parallel" and not is_worker():
        start_workers()
        return
    start = find_start(Path(params.train.start_from), model, starts, state.with_name("start.keras"))
    wanted = params.model_dump(include={"image", "model", "augment", "train"})
    origin = provenance(wanted, [*sorted(arrays.iterdir()), split, *start])
    state /= digest({**origin, "code": code_digest(), "backend": keras.backend.backend()})
    settings = params.train.model_copy(update={"start_from": str(*start)})
    with devices(settings.distribute, settings.batch_size) as share:
        batches = open_batches(
            arrays, split, mode=params.image.mode, settings=settings, strength=params.augment, share=share
        )
        unet, trained = train(*batches, size=params.image.size, model=params.model, settings=settings, state=state)
    if share.rank:
        return  # the first process writes
    best = trained.epochs[trained.best_epoch - 1]
    scores = {name: best[name] for name in HISTORY[:-1]}
    trained_with = wanted | {"data": {"channel": params.data.channel, "project": params.data.project}}
    save_model(model, unet, {"run": origin, "trained_with": trained_with, "best": scores})
    write_csv(history, [{name: row[name] for name in HISTORY} for row in trained.epochs], HISTORY)
    write_json(
        metrics, {"best": scores, "epochs": len(trained.epochs), "parameters": unet.count_params(), "run": origin}
    )
    finish(state)


def find_start(wanted: Path, model: Path, starts: Path, copy: Path) -> list[Path]:
    """Find the model to start from, if one is wanted: one of the folder `starts`, which DVC watches, or `model`.

    DVC removes the stage's own model before it runs the stage. It is then taken from DVC's cache, as dvc.lock has it:
    dvc.lock changes only when the stage has ended, so a training that was killed starts from the same model again.
    """
    if wanted == Path():
        return []
    last = wanted.resolve() == model.resolve()
    if wanted.is_file():
        if last or wanted.resolve().is_relative_to(starts.resolve()):
            return [wanted]
        raise InputError(f"train.start_from: {wanted}: DVC does not watch it; copy it to {starts}/ and name the copy")
    if wanted.exists() or not last:
        raise InputError(f"train.start_from: {wanted}: no file is there; name a .keras file, or none (empty)")
    from dvc import api, exceptions  # noqa: PLC0415 - takes a second, and is seldom needed

    try:
        content = api.read(str(model), mode="rb")
    except exceptions.DvcException as error:
        rule = (
            "no training has finished here, dvc.lock does not name its model (`git checkout dvc.lock` restores the one "
            "in git), or DVC's cache was emptied (`dvc pull` fetches it from a remote)"
        )
        raise InputError(f"train.start_from: {wanted} is not there: {rule}; name another .keras file") from error
    with atomic_path(copy) as path:
        path.write_bytes(content)
    print(f"train.start_from: {wanted} as DVC's cache has it: the one that dvc.lock names", flush=True)
    return [copy]


def way_back(model: Path, **_paths: Path) -> str:
    """Say how to get back the last model, which DVC removed before it ran the stage, if DVC's cache holds it."""
    from dvc import exceptions, repo  # noqa: PLC0415 - takes a second, and is seldom needed

    with contextlib.suppress(exceptions.DvcException), repo.Repo() as project:
        if not any(out.changed_cache() for out in project.find_outs_by_path(str(model))):
            return f"to get the last model back: dvc checkout {model}"
    return ""


if __name__ == "__main__":
    stage.run(main, hint=way_back)
