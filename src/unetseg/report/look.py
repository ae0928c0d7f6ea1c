"""The common style of all pictures: size, font, colours, file format."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from unetseg.files import atomic_path

WIDTH, DOTS = 7.5, 120  # inches and dots per inch: 900 pixels, the width of a README

# Okabe and Ito 2008, "Color Universal Design": the colour-blind can tell these apart
BLUE, SKY, ORANGE, PURPLE, GREEN = "#0072b2", "#56b4e9", "#e69f00", "#cc79a7", "#009e73"
BLACK, GREY = "#222222", "#8c8c8c"

LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same pictures everywhere
    "font.size": 9,
    "text.color": BLACK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelcolor": BLACK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "savefig.dpi": "figure",  # whatever a matplotlibrc says
    "savefig.bbox": "standard",
}


@contextlib.contextmanager
def picture(path: Path) -> Iterator[Figure]:
    """Yield an empty figure in the common style and write it as PNG at the end; the same figure gives the same bytes.

    The PNG is 900 pixels wide; its height is that of the figure.
    """
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(WIDTH, WIDTH / 2), dpi=DOTS)
        yield figure
        ConstrainedLayoutEngine().execute(figure)  # as a setting of the figure, it would be drawn twice
        drawn = io.BytesIO()
        figure.savefig(drawn, format="rgba")
        image = Image.frombytes("RGBA", figure.canvas.get_width_height(), drawn.getvalue())
    with atomic_path(path) as beside:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(beside, optimize=True)
