import matplotlib as mpl
from PIL import Image

from unetseg.report.look import BLUE, ORANGE, picture


def draw(path, colour=BLUE):
    with picture(path) as figure:
        figure.set_figheight(1)
        figure.subplots().plot([0, 1], color=colour)


def test_a_picture_is_as_wide_as_a_readme_and_the_same_every_time(tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    draw(tmp_path / "c.png", ORANGE)

    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (900, 120)
        assert image.info == {}
    first = (tmp_path / "a.png").read_bytes()
    assert first == (tmp_path / "b.png").read_bytes()
    assert first != (tmp_path / "c.png").read_bytes()


def test_a_matplotlibrc_changes_nothing(tmp_path):
    draw(tmp_path / "a.png")
    with mpl.rc_context({"savefig.dpi": 300, "savefig.bbox": "tight"}):
        draw(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_look_does_not_stay_behind(tmp_path):
    before = dict(mpl.rcParams)
    draw(tmp_path / "a.png")

    assert dict(mpl.rcParams) == before


def test_a_picture_that_could_not_be_drawn_is_not_written(tmp_path):
    try:
        with picture(tmp_path / "a.png"):
            raise KeyError
    except KeyError:
        pass

    assert list(tmp_path.iterdir()) == []
