"""Print the table of docs/formats.md: what `unetseg import` makes of the same eight images in every form.

    python benchmarks/forms.py

tests/forms.py makes the forms; the tests hold what the table says.
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from forms import FORMS, IMAGES, OUTLINED, imported


def main() -> None:
    """Print a row for each form."""
    objects = sum(labels.max() for _, labels in IMAGES.values())
    print("| form | understood as | images | objects in = out | pixels that differ |")
    print("| --- | --- | --- | --- | --- |")
    for name, make in (FORMS | OUTLINED).items():
        with tempfile.TemporaryDirectory() as word, contextlib.redirect_stdout(io.StringIO()) as printed:
            (Path(word) / "source").mkdir()
            with contextlib.redirect_stderr(io.StringIO()):
                samples = imported(Path(word), make(Path(word) / "source"))
        form = printed.getvalue().splitlines()[0].rpartition(": ")[2]
        found = sum(len(np.unique(sample.labels[sample.labels > 0])) for sample in samples.values())
        pairs = [(samples[key].labels > 0, labels > 0) for key, (_, labels) in IMAGES.items() if key in samples]
        wrong = sum(int(np.count_nonzero(there != here)) for there, here in pairs)
        total = sum(int(np.count_nonzero(here)) for _, here in pairs)
        print(f"| {name} | {form} | {len(samples)} of {len(IMAGES)} | {found} of {objects} | {wrong} of {total} |")


if __name__ == "__main__":
    main()
