import numpy as np

from unetseg.evaluation.predicted import PredictedImage, PredictedSubset
from unetseg.prediction.settings import Settings


def test_a_subset_gives_each_image_its_own_truth_and_probability():
    labels = np.arange(3, dtype=np.uint16)[:, None, None] * np.ones((2, 2), np.uint16)
    probabilities = np.stack([np.full((2, 2), value, np.float32) for value in (0.9, 0.1)])
    subset = PredictedSubset(
        "test", [{"index": "2"}, {"index": "0"}], (labels > 0).astype(np.uint8), labels, probabilities
    )
    first, second = subset
    assert len(subset) == 2
    assert (first.mask.all(), first.labels[0, 0], first.probability[0, 0]) == (True, 2, np.float32(0.9))
    assert (second.mask.any(), second.labels[0, 0], second.probability[0, 0]) == (False, 0, np.float32(0.1))


def test_objects_are_numbered_where_they_are_predicted_and_can_be_brought_to_the_arrays_size(tmp_path):
    rows, columns = np.ogrid[:64, :64]
    disks = [(rows - 32) ** 2 + (columns - centre) ** 2 <= 144 for centre in (22, 42)]  # they touch
    native = np.where(disks[0] | disks[1], np.float32(0.9), np.float32(0.1))
    native[1:4, 1:4] = 0.9  # 9 pixels
    np.save(tmp_path / "0.npy", native)
    nothing = np.zeros((16, 16))
    image = PredictedImage(
        {}, nothing > 0, nothing.astype(np.uint16), nothing.astype(np.float32), tmp_path / "0.npy", 0.5
    )
    settings = Settings(depth=1.0, min_size=2)  # in the model's pixels, of 2 by 2 of the image
    numbered = settings.number(0.5)(native)
    assert (numbered.max(), settings.number(1.0)(native).max()) == (3, 3)
    assert np.array_equal(image.objects(settings), numbered)
    assert np.array_equal(image.fitted(numbered), numbered[2::4, 2::4])
    assert set(np.unique(image.objects(Settings(depth=1.0, min_size=3)))) == {0, 1, 2}
    assert set(np.unique(image.objects(Settings(depth=30.0, min_size=3)))) == {0, 1}
