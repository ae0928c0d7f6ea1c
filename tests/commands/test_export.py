from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from spots import MODEL, spots

from unetseg.cli import main
from unetseg.export.runtimes import EXPORTS
from unetseg.model import keras


def test_images_of_several_channels_are_compared_on_the_channel_that_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    MODEL.save("m.keras")
    tifffile.imwrite(
        "two.ome.tif", np.stack([np.zeros((40, 50), np.uint8), spots(40, 50)[..., 0]]), metadata={"axes": "CYX"}
    )
    monkeypatch.setattr(keras.Model, "export", lambda _, path, **__: Path(path).mkdir())
    monkeypatch.setitem(EXPORTS, "savedmodel", EXPORTS["savedmodel"]._replace(runtime=lambda _: MODEL.predict_on_batch))
    asked = ["export", "m.keras", "--to", "savedmodel", "--out", "x", "--images", "two.ome.tif"]
    with pytest.raises(SystemExit):
        main(asked)
    assert "name one with --channel" in capsys.readouterr().err
    main([*asked, "--channel", "1"])
    assert "Dice against Keras' masks 1.00000" in capsys.readouterr().out


def test_a_dice_of_masks_is_told_only_where_something_was_found(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    MODEL.save("m.keras")
    cv2.imwrite("spots.png", spots(40, 50))
    cv2.imwrite("empty.png", np.random.default_rng(0).integers(0, 20, (40, 50), np.uint8))
    monkeypatch.setattr(keras.Model, "export", lambda _, path, **__: Path(path).mkdir())
    monkeypatch.setitem(EXPORTS, "savedmodel", EXPORTS["savedmodel"]._replace(runtime=lambda _: MODEL.predict_on_batch))
    for image in ("spots", "empty"):
        main(["export", "m.keras", "--to", "savedmodel", "--out", image, "--images", f"{image}.png"])
    assert capsys.readouterr().out.splitlines() == [
        "spots: largest difference 0.0e+00, Dice against Keras' masks 1.00000",
        "empty: largest difference 0.0e+00, nothing found in --images to compare masks on",
    ]
