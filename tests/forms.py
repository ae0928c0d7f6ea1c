"""The same eight images and their objects in every form; `benchmarks/forms.py` prints what becomes of them."""

import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
from labelled import strip_of

from unetseg.annotations.coco import coco_counts
from unetseg.annotations.formats import FORMATS
from unetseg.annotations.runs import bowl_text, find_runs
from unetseg.annotations.writing import ImageInfo
from unetseg.cli import main
from unetseg.dataset.samples import read_sample
from unetseg.images.inputs import Input

COUNT, SIDE = 8, 40


def image_and_labels(number):
    """Make an image with touching, pierced and lone objects, and their numbers; the last image has none."""
    rng = np.random.default_rng(number)
    labels = np.zeros((SIDE, SIDE + number), np.int32)
    if number < COUNT - 1:
        labels[2:14, 3:12] = 1
        labels[2:14, 12:20] = 2
        labels[20:34, 5:20] = 3
        labels[24:28, 9:14] = 0
        cv2.circle(labels, (30, 28), 3 + number % 5, 4, -1)
    image = rng.integers(0, 60, labels.shape, np.uint8)
    image[labels > 0] += 120
    return image, labels


IMAGES = {f"cell_{number}": image_and_labels(number) for number in range(COUNT)}


def png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    return path


def each_object(labels):
    return [(number, labels == number) for number in range(1, labels.max() + 1)]


def written(kind, path, image, labels):
    """Write objects with the project's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FORMATS[kind].write(
        path, ImageInfo(Input(image, image.name, None, image.stem), image.name, *labels.shape, 0.5, 1)
    ) as add:
        add(strip_of(labels))


def make_layout(root):
    for name, (image, labels) in IMAGES.items():
        png(root / name / "images" / f"{name}.png", image)
        for number, mask in each_object(labels) or [(0, labels > 0)]:
            png(root / name / "masks" / f"{number}.png", mask * np.uint8(255))
    return root


def make_flat(root, folder="masks", suffix=".png", images="images"):
    for name, (image, labels) in IMAGES.items():
        png(root / images / f"{name}{suffix}", image)
        png(root / folder / f"{name}{suffix}", labels.astype(np.uint16))
    return root


def make_beside(root, mark="_label", suffix=".tif"):
    for name, (image, labels) in IMAGES.items():
        png(root / f"{name}{suffix}", image)
        png(root / f"{name}{mark}{suffix}", labels.astype(np.uint16))
    return root


def make_stardist(root):
    for number, (name, (image, labels)) in enumerate(IMAGES.items()):
        part = "train" if number < 6 else "test"
        for folder, pixels in (("images", image), ("masks", labels.astype(np.uint16))):
            png(root / part / folder / f"{name}.tif", pixels)
    return root


def make_by_writer(kind):
    def make(root):
        for name, (image, labels) in IMAGES.items():
            written(kind, root / f"{name}{FORMATS[kind].name}", png(root / f"{name}.png", image), labels)
        return root

    return make


def make_single_rois(root):
    for name, (image, labels) in IMAGES.items():
        png(root / "images" / f"{name}.png", image)
        written("roi", root / "all" / f"{name}.zip", root / f"{name}.png", labels)
        with zipfile.ZipFile(root / "all" / f"{name}.zip") as archive:
            archive.extractall(root / "rois" / name)
        if not labels.any():
            (root / "rois" / f"{name}.zip").write_bytes((root / "all" / f"{name}.zip").read_bytes())
    shutil.rmtree(root / "all")
    return root


def make_labelme(root):
    for name, (image, labels) in IMAGES.items():
        written("labelme", root / f"{name}.json", png(root / f"{name}.png", image), labels)
    return root


def make_coco(polygons):
    def make(root):
        images, annotations = [], []
        for number, (name, (image, labels)) in enumerate(IMAGES.items()):
            png(root / "data" / f"{name}.png", image)
            size = dict(zip(("height", "width"), labels.shape, strict=True))
            images.append({"id": number, "file_name": f"{name}.png", **size})
            for _, mask in each_object(labels):
                annotations.append({"image_id": number, "segmentation": polygon(mask) if polygons else rle(mask)})
        (root / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations}))
        return root

    return make


def polygon(mask):
    """Outline an object through the centres of its outermost pixels, as OpenCV and many tools do; holes are lost."""
    return [contour.ravel().tolist() for contour in contours(mask)]


def contours(mask):
    return cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]


def rle(mask):
    return {"size": list(mask.shape), "counts": coco_counts(*find_runs(mask, 0, 0, len(mask)), mask.size)}


def make_rle(root):
    rows = ["ImageId,EncodedPixels"]
    for name, (image, labels) in IMAGES.items():
        png(root / "stage1_train" / f"{name}.png", image)
        texts = [bowl_text(*find_runs(mask, 0, 0, len(mask))) for _, mask in each_object(labels)]
        rows += [f"{name},{text}" for text in texts or [""]]
    (root / "stage1_train_labels.csv").write_text("\n".join(rows) + "\n")
    return root


def make_predictions(root):
    listed = []
    for name, (image, labels) in IMAGES.items():
        source = png(root / "raw" / f"{name}.png", image)
        written("labels", root / "out" / f"{name}.labels.tif", source, labels)
        listed.append({"image": name, "path": f"../raw/{name}.png", "plane": None})
    (root / "out" / "predict.json").write_text(json.dumps({"images": listed}))
    return root / "out"


def make_zip(root):
    make_layout(root / "data")
    return Path(shutil.make_archive(str(root / "packed"), "zip", root / "data"))


def make_nested_zip(root):
    make_zip(root)
    with zipfile.ZipFile(root / "outer.zip", "w") as archive:
        archive.write(root / "packed.zip", "packed.zip")
    return root / "outer.zip"


def make_tar(root):
    make_layout(root / "data")
    with tarfile.open(root / "packed.tar.gz", "w:gz") as archive:
        archive.add(root / "data", "data")
    return root / "packed.tar.gz"


FORMS = {
    "the pipeline's layout, a folder": make_layout,
    "the pipeline's layout, a zip": make_zip,
    "the pipeline's layout, a zip in a zip": make_nested_zip,
    "the pipeline's layout, a .tar.gz": make_tar,
    "images/ + masks/": make_flat,
    "images/ + labels/": lambda root: make_flat(root, "labels", ".tif"),
    "tissue_images/ + label_masks/": lambda root: make_flat(root, "label_masks", ".tif", "tissue_images"),
    "x.tif + x_label.tif": make_beside,
    "x.png + x_mask.png": lambda root: make_beside(root, "_mask", ".png"),
    "Cellpose: x.tif + x_masks.tif": lambda root: make_beside(root, "_masks"),
    "Cellpose: x.png + x_cp_masks.png": lambda root: make_beside(root, "_cp_masks", ".png"),
    "MorphoLibJ: x.tif + x-lbl.tif": lambda root: make_beside(root, "-lbl"),
    "ilastik: x.tif + x_Object Identities.tif": lambda root: make_beside(root, "_Object Identities"),
    "StarDist: train/images/, train/masks/, test/…": make_stardist,
    "ImageJ: x.png + x.roi.zip": make_by_writer("roi"),
    "ImageJ: images/x.png + rois/x/*.roi": make_single_rois,
    "QuPath: x.png + x.geojson": make_by_writer("geojson"),
    "LabelMe: x.png + x.json": make_labelme,
    "COCO: run lengths": make_coco(False),
    "Data Science Bowl: CSV of run lengths": make_rle,
    "a folder of `unetseg predict`": make_predictions,
}
OUTLINED = {"COCO: polygons through pixel centres": make_coco(True)}


def imported(folder, source, *options):
    """Import, unpack, and read every sample."""
    assert main(["import", str(source), "--out", str(folder / "a.zip"), *options]) == 0
    with zipfile.ZipFile(folder / "a.zip") as archive:
        archive.extractall(folder / "unpacked")
    places = [path for path in sorted((folder / "unpacked").iterdir()) if path.is_dir()]
    return {path.name: read_sample(path) for path in places}


def differing(sample, labels):
    """Count the pixels that are not in the object that they were in, whatever the objects' numbers."""
    pairs = np.unique(np.stack([sample.labels.ravel(), labels.ravel()]), axis=1)
    matched = len(pairs[0]) == len(np.unique(sample.labels)) == len(np.unique(labels))
    return 0 if matched else int(np.count_nonzero((sample.labels > 0) != (labels > 0)))
