import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from labelled import in_two_goes, label_images, painted, ring_and_dot

from unetseg.annotations.geojson import read_geojson, write_geojson
from unetseg.errors import InputError


@given(label_images)
def test_objects_are_read_back_to_the_pixel(tmp_path_factory, labels):
    path = in_two_goes(write_geojson, tmp_path_factory.mktemp("json") / "a.geojson", labels)
    found = read_geojson(path, *labels.shape)
    assert np.array_equal(painted(found, labels.shape), labels)
    assert not found.left_out


@given(label_images)
def test_what_is_written_is_valid_for_shapely(tmp_path_factory, labels):
    path = in_two_goes(write_geojson, tmp_path_factory.mktemp("json") / "a.geojson", labels)
    features = json.loads(path.read_text())["features"]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    assert all(shape.is_valid for shape in shapes)
    assert [shape.area for shape in shapes] == np.bincount(labels.ravel())[1:].tolist()


def test_features_are_what_qupath_takes_for_detections(tmp_path):
    collection = json.loads(in_two_goes(write_geojson, tmp_path / "a.geojson", ring_and_dot()).read_text())
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


SQUARE = {"type": "Polygon", "coordinates": [[[1, 2], [4, 2], [4, 5], [1, 5], [1, 2]]]}


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": SQUARE}]},
        [{"type": "Feature", "geometry": SQUARE}],
        {"type": "Feature", "geometry": SQUARE},
    ],
)
def test_a_collection_a_list_and_a_single_feature_are_read_alike(tmp_path, content):
    (tmp_path / "a.geojson").write_text(json.dumps(content))
    (region,) = read_geojson(tmp_path / "a.geojson", 9, 9).regions
    assert (region.row, region.column, region.mask.shape) == (2, 1, (3, 3))
    assert region.mask.all()


def test_points_and_what_lies_outside_the_image_are_counted(tmp_path):
    features = [{"geometry": {"type": "Point", "coordinates": [1, 1]}}, {"geometry": SQUARE}, {"geometry": None}]
    (tmp_path / "a.geojson").write_text(json.dumps({"features": features}))
    found = read_geojson(tmp_path / "a.geojson", 2, 9)
    assert found.regions == []
    assert found.left_out == {"features that are no polygons": 2, "polygons without a pixel in the image": 1}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[3]", '{"features": 3}', "[" * 100_000, '[{"geometry": {"type": "Polygon", "coordinates": [[1]]}}]'],
)
def test_what_is_no_geojson_is_told_in_one_line(tmp_path, text):
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(InputError, match=r"a.geojson: is not") as caught:
        read_geojson(tmp_path / "a.geojson", 9, 9)
    assert len(str(caught.value).splitlines()) == 1
