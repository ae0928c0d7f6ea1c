import numpy as np
from scipy import ndimage

from unetseg.evaluation.archives import seen_before
from unetseg.files import write_csv
from unetseg.images.fingerprint import fingerprint


def test_a_copy_of_a_neighbour_of_a_training_image_is_known_too(tmp_path):
    rng, trained, external = np.random.default_rng(0), {}, {}
    for number in range(20):
        field = ndimage.gaussian_filter(rng.normal(size=(128, 256)), 4)
        field = (255 * (field - field.min()) / np.ptp(field)).astype(np.uint8)[..., None].repeat(3, axis=2)
        trained[f"t{number}"], external[f"e{number}"] = field[:, :128], field[:, 128:]
    trained["r19"] = external.pop("e19")
    external |= {"turned": np.rot90(external["e0"]), "copied": external["e1"], "of_t19": trained["t19"]}
    for folder, images in (("arrays", trained), ("external", external)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "fingerprints.npy", np.array([fingerprint(image) for image in images.values()]))
        write_csv(tmp_path / folder / "samples.csv", [{"id": name} for name in images], ["id"])
    rows = [{"id": name, "subset": "test" if name == "t2" else "train"} for name in trained]
    write_csv(tmp_path / "split.csv", rows, ["id", "subset"])
    seen = seen_before(tmp_path / "arrays", tmp_path / "split.csv", tmp_path / "external")
    expected = {f"e{number}": f"t{number}" for number in range(19) if number != 2}
    assert seen == expected | {"turned": "t0", "copied": "t1", "of_t19": "t19"}
