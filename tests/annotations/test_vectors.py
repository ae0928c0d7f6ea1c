import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from roifile import ROI_TYPE, roiread

from unetseg.annotations.vectors import geojson, roi_zip
from unetseg.objects.strips import number_objects

label_maps = arrays(
    np.int32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 3)
).map(lambda labels: np.unique(labels, return_inverse=True)[1].astype(np.int32).reshape(labels.shape))


def objects_of(labels):
    """The objects of a label map without gaps, in two goes, as strips would bring them."""
    probability = np.full(labels.shape, 0.75, np.float32)
    (strip,) = number_objects([probability], len(labels), lambda _: labels, 0.5)
    return strip.objects[:1], strip.objects[1:]


def written(writer, path, labels):
    with writer(path) as add:
        for some in objects_of(labels):
            add(some)
    return path


def rebuilt(shape, geometries):
    rows, columns = np.indices(shape) + 0.5
    labels = np.zeros(shape, np.int32)
    for label, geometry in geometries:
        inside = shapely.contains_xy(geometry, columns, rows)
        assert not labels[inside].any()
        labels[inside] = label
    return labels


def roi_geometry(roi):
    """Fill the paths of a ROI by the even-odd rule, as ImageJ does."""
    area = shapely.Polygon()
    for path in roi.coordinates(multi=True):
        area = area.symmetric_difference(shapely.Polygon(path))
    return area


@settings(deadline=None)
@given(label_maps)
def test_roifile_reads_the_objects_back_to_the_pixel(tmp_path_factory, labels):
    path = written(roi_zip, tmp_path_factory.mktemp("roi") / "a.zip", labels)
    rois = roiread(path) if labels.any() else []
    assert np.array_equal(rebuilt(labels.shape, [(int(roi.name), roi_geometry(roi)) for roi in rois]), labels)


@settings(deadline=None)
@given(label_maps)
def test_shapely_reads_valid_geojson_back_to_the_pixel(tmp_path_factory, labels):
    path = written(geojson, tmp_path_factory.mktemp("json") / "a.geojson", labels)
    features = json.loads(path.read_text())["features"]
    geometries = [(int(each["properties"]["name"]), shapely.geometry.shape(each["geometry"])) for each in features]
    assert all(geometry.is_valid for _, geometry in geometries)
    assert np.array_equal(rebuilt(labels.shape, geometries), labels)


def ring_and_dot():
    labels = np.zeros((12, 14), np.int32)
    labels[2:8, 3:9] = 1
    labels[4:6, 5:7] = 0
    labels[10, 12] = 2
    return labels


def test_a_roi_stands_where_its_object_does(tmp_path):
    ring, dot = roiread(written(roi_zip, tmp_path / "a.zip", ring_and_dot()))
    assert (ring.top, ring.left, ring.bottom, ring.right) == (2, 3, 8, 9)
    assert ring.composite
    assert (dot.top, dot.left) == (10, 12)
    assert dot.roitype == ROI_TYPE.TRACED
    assert not dot.composite


@pytest.mark.parametrize("offset", [0, 30_000, 50_000])
def test_a_roi_far_out_in_a_large_image_is_where_it_was(tmp_path, offset):
    labels = np.zeros((1, offset + 2), np.int32)
    labels[0, -1] = 1
    (roi,) = roiread(written(roi_zip, tmp_path / "a.zip", labels))
    assert roi.coordinates()[:, 0].min() == offset + 1


def test_features_are_what_qupath_takes_for_detections(tmp_path):
    collection = json.loads(written(geojson, tmp_path / "a.geojson", ring_and_dot()).read_text())
    assert collection["type"] == "FeatureCollection"
    ring, dot = collection["features"]
    assert ring["type"] == "Feature"
    assert ring["properties"]["objectType"] == "detection"
    assert ring["properties"]["measurements"] == {"Area px^2": 32, "Mean probability": 0.75}
    assert ring["geometry"]["type"] == "Polygon"
    assert len(ring["geometry"]["coordinates"]) == 2
    (outline,) = dot["geometry"]["coordinates"]
    assert outline[0] == outline[-1]
    assert {tuple(corner) for corner in outline} == {(12, 10), (13, 10), (13, 11), (12, 11)}


def test_no_object_gives_files_that_can_be_read(tmp_path):
    empty = np.zeros((3, 3), np.int32)
    assert json.loads(written(geojson, tmp_path / "a.geojson", empty).read_text())["features"] == []
    assert written(roi_zip, tmp_path / "a.zip", empty).stat().st_size > 0
