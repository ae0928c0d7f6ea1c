import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from labelled import in_two_goes, label_images, painted, ring_and_dot

from unetseg.annotations.geojson import read_geojson, write_geojson
from unetseg.annotations.regions import REGIONS, TOLD
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
    assert found.left_out == {"features that are no polygons": 2, "outlines wholly outside the image": 1}


def square(left, top, side):
    right, bottom = left + side, top + side
    return [[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]]


def feature(coordinates, kind="detection", **more):
    shape = "Polygon" if isinstance(coordinates[0][0][0], int) else "MultiPolygon"
    geometry = {"type": shape, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": kind}} | more


def read(folder, *features):
    (folder / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = read_geojson(folder / "a.geojson", 64, 64)
    return [int(region.mask.sum()) for region in found.regions], found.left_out


def test_parts_that_overlap_are_joined_and_a_hole_stays_one(tmp_path):
    pierced = [*square(0, 0, 20), *square(5, 5, 2)]
    assert read(tmp_path, feature([square(5, 5, 20), square(15, 15, 20)])) == ([700], {})
    assert read(tmp_path, feature([pierced, square(30, 30, 10)])) == ([400 - 4 + 100], {})


def test_a_hole_takes_nothing_but_what_its_polygon_has(tmp_path):
    assert read(tmp_path, feature([*square(5, 5, 10), *square(30, 30, 10)])) == ([100], {})
    assert read(tmp_path, feature([*square(5, 5, 10), *square(10, 10, 10)])) == ([75], {})
    assert read(tmp_path, feature([*square(5, 5, 10), *square(5, 5, 10)])) == (
        [],
        {"polygons without a pixel in the image": 1},
    )


def test_a_polygon_without_corners_is_left_out(tmp_path):
    empty = [{"geometry": {"type": kind, "coordinates": []}} for kind in ("Polygon", "MultiPolygon")]
    ring = {"geometry": {"type": "Polygon", "coordinates": [[]]}}
    lost = {"polygons without a pixel in the image": 3}
    assert read(tmp_path, *empty, ring, feature(square(5, 5, 10))) == ([100], lost)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"type": "Feature"}, r", at feature 2 \(it has no geometry that is an object of JSON or null\)"),
        ({"geometry": 3}, r", at feature 2 \(it has no geometry that is an object of JSON or null\)"),
        ({"geometry": {"type": "Polygon"}}, r", at feature 2 \(its coordinates are None, not lists of corners\)"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[1, 2, 3]]}},
            r", at feature 2 \(its ring is \[1, 2, 3\], not x and y of each corner\)",
        ),
        ("x", r" \(number 2 of its features is 'x', no object of JSON\)"),
    ],
)
def test_what_is_wrong_with_a_feature_is_told_with_its_number_and_the_rule(tmp_path, wrong, rule):
    with pytest.raises(InputError, match=f"a.geojson: is not GeoJSON as QuPath exports it{rule}"):
        read(tmp_path, feature(square(5, 5, 10)), wrong)


def test_an_annotation_around_other_objects_is_left_out_and_counted(tmp_path):
    inside = [feature(square(5, 5, 10)), feature(square(30, 30, 10), "annotation")]
    assert read(tmp_path, feature(square(1, 1, 60), "annotation"), *inside) == (
        [100, 100],
        {"annotations around other objects": 1, REGIONS: 1},
    )
    old = feature(square(1, 1, 60), id="PathAnnotationObject")
    del old["properties"]
    assert read(tmp_path, old, *inside)[0] == [100, 100]


def test_annotations_that_hold_no_other_object_are_objects(tmp_path):
    apart = [feature(square(5, 5, 10), "annotation"), feature(square(10, 5, 10), "annotation")]
    assert read(tmp_path, *apart) == ([100, 100], {})
    assert read(tmp_path, apart[0], apart[0]) == ([100, 100], {})
    pierced = feature([*square(0, 0, 30), *square(5, 5, 12)], "annotation")
    assert read(tmp_path, pierced, apart[0]) == ([900 - 144, 100], {})


def test_an_annotation_that_may_be_a_region_is_an_object_and_counted(tmp_path):
    alone = feature(square(2, 2, 60), "annotation")
    assert read(tmp_path, alone) == ([3600], {REGIONS: 1})  # the image is of 64x64
    assert read(tmp_path, feature(square(2, 2, 40), "annotation")) == ([1600], {})
    assert TOLD[REGIONS].startswith("taken as objects")


def test_a_cell_is_its_outline_and_its_nucleus_is_counted(tmp_path):
    nucleus = {"type": "Polygon", "coordinates": square(10, 10, 5)}
    assert read(tmp_path, feature(square(5, 5, 20), "cell", nucleusGeometry=nucleus)) == (
        [400],
        {"nuclei of cells, whose own outlines were taken": 1},
    )


@pytest.mark.parametrize("kind", ["tile", "tmaCore", "root", "TMACoreObject", "PathTileObject", "PathRootObject"])
def test_tiles_cores_and_roots_are_no_objects_and_counted(tmp_path, kind):
    found = {"tiles, cores and roots of QuPath": 1}
    old = feature(square(0, 0, 60), id=kind) | {"properties": {}}
    for core in (feature(square(0, 0, 60), kind), old):
        assert read(tmp_path, core, feature(square(5, 5, 10))) == ([100], found)


def test_objects_below_others_are_read_at_any_depth(tmp_path):
    cell, region, core = feature(square(5, 5, 10)), feature(square(2, 2, 30), "annotation"), feature(square(0, 0, 60))
    core["properties"] = {"objectType": "tmaCore", "childObjects": [region, feature(square(40, 40, 5), "annotation")]}
    region["properties"]["childObjects"] = [cell]
    left_out = {"tiles, cores and roots of QuPath": 1, "annotations around other objects": 1, REGIONS: 1}
    assert read(tmp_path, core) == ([100, 25], left_out)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[3]", '{"features": 3}', "[" * 100_000),
        '[{"geometry": {"type": "Polygon", "coordinates": [[1]]}}]',
        f'[{{"geometry": {{"type": "Polygon", "coordinates": [[[1, 1], [9, 1], [{10**400}, 9]]]}}}}]',
    ],
)
def test_what_is_no_geojson_is_told_in_one_line(tmp_path, text):
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(InputError, match=r"a.geojson: is not") as caught:
        read_geojson(tmp_path / "a.geojson", 9, 9)
    assert len(str(caught.value).splitlines()) == 1


def test_slices_channels_and_frames_of_polygons_are_counted_where_they_are_several(tmp_path):
    planes = [{"c": 0, "z": 0, "t": 0}, {"c": 1, "z": 0, "t": 2}, {"c": -1, "z": 0, "t": 0}, None]
    features = [feature(square(10 * n, 5, 5)) for n, _ in enumerate(planes)]
    for each, plane in zip(features, planes, strict=True):
        each["geometry"]["plane"] = plane
    assert read(tmp_path, *features) == ([25] * 4, {"channels": 2, "frames": 2})
