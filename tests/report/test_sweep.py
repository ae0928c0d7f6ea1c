from PIL import Image

from unetseg.report.charts import draw_sweep


def test_each_varied_value_gets_a_panel_numbers_and_words_alike(tmp_path):
    rows = [
        {"model.depth": depth, "train.loss": loss, "dice.mean": 0.8} for depth in (2, 4) for loss in ("bce", "bce_dice")
    ]
    heights = []
    for names in (["train.loss"], ["model.depth", "train.loss"]):
        draw_sweep(tmp_path / "sweep.png", rows, names, "dice.mean")
        with Image.open(tmp_path / "sweep.png") as drawn:
            heights.append(drawn.height)
    assert heights[1] == 2 * heights[0]
