"""Run the correction loop on real images: Dice on images of an experiment before and after eight others were corrected.

    python benchmarks/loop.py --model M.keras --old stage1_small.zip nuinsseg.zip

So many --images of the last archive, from number --first on, are the experiment, which the model must not have been
trained on. Each fourth one is predicted and corrected, with its true mask standing in for the person; the others are
held out. The loop is that of docs/correct.md. The weights are put into a model of params.yaml's shape, so that an older
file is used as a new one is.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import cv2

from unetseg.dataset.samples import find_samples, read_sample
from unetseg.model.assembly import build_model
from unetseg.model.file import load_model, save_model
from unetseg.params_file import load_params

ROOT = Path(__file__).resolve().parents[1]
UNETSEG = (sys.executable, "-m", "unetseg.cli")


def run(folder: Path, name: str, *command: str) -> str:
    """Run a command in a folder and print how long it took; give what it printed on stdout."""
    begin = time.monotonic()
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
    return ended.stdout


def share_out(archive: Path, first: int, count: int, folder: Path) -> None:
    """Unpack the experiment: images to correct with their label images, and an archive of the others."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder / "all")
    (folder / "plate").mkdir()
    (folder / "truth").mkdir()
    with zipfile.ZipFile(folder / "held_out.zip", "w") as held_out:
        for number, sample in enumerate(find_samples(folder / "all")[first:][:count]):
            if number % 4:
                for file in sorted(path for path in sample.rglob("*") if path.is_file()):
                    held_out.write(file, file.relative_to(folder / "all"))
                continue
            image = next((sample / "images").iterdir())
            shutil.copy(image, folder / "plate" / f"{sample.name}{image.suffix}")
            cv2.imwrite(str(folder / "truth" / f"{sample.name}.labels.tif"), read_sample(sample).labels)


def main() -> None:
    """Run the loop and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--old", type=Path, required=True, help="the archive to merge with the corrected images")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--images", type=int, default=32, help="of the experiment; each fourth one is corrected")
    parser.add_argument("experiment", type=Path)
    options = parser.parse_args()
    params = load_params(ROOT / "params.yaml")
    with tempfile.TemporaryDirectory() as word:
        folder = Path(word)
        share_out(options.experiment, options.first, options.images, folder)
        start = build_model(params.image.size, params.model)
        start.set_weights(load_model(options.model).get_weights())
        save_model(folder / "start.keras", start, {})
        begin = time.monotonic()
        model = ("--model", str(folder / "start.keras"))
        before = run(folder, "evaluate", *UNETSEG, "evaluate", *model, "--out", "before", "held_out.zip")
        run(folder, "predict", *UNETSEG, "predict", *model, "--write", "labels", "--out", "predictions", "plate")
        for labels in (folder / "truth").iterdir():
            shutil.copy(labels, folder / "predictions")
        run(folder, "import", *UNETSEG, "import", "predictions", "--only-changed", "--out", "corrected.zip")
        run(folder, "merge", *UNETSEG, "import", str(options.old.resolve()), "corrected.zip", "--out", "merged.zip")
        project = folder / "project"
        run(folder, "clone", "git", "clone", "--quiet", str(ROOT), str(project))
        shutil.copy(folder / "start.keras", project / "pretrained")
        preset = run(project, "preset", *UNETSEG, "preset", "presets/finetune.yaml").split()
        changed = {
            "train.start_from": "pretrained/start.keras",
            "data.archive": folder / "merged.zip",
            "split.test": 0,
            "evaluate.external": folder / "held_out.zip",
        }
        words = [word for name, value in changed.items() for word in ("-S", f"{name}={value}")]
        run(project, "fine-tune and evaluate", "dvc", "exp", "run", *preset, *words)
        tables = str(folder / "before" / "per_image.csv"), "metrics/per_image.csv"
        compared = run(project, "compare", *UNETSEG, "compare", *tables)
        print(f"{before}{compared}{time.monotonic() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
