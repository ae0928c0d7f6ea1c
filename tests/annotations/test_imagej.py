import zipfile

import numpy as np
import pytest
from hypothesis import given
from labelled import in_two_goes, label_images, painted, ring_and_dot
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiread

from unetseg.annotations.imagej import read_roi, write_roi
from unetseg.errors import InputError


@given(label_images)
def test_objects_are_read_back_to_the_pixel(tmp_path_factory, labels):
    path = in_two_goes(write_roi, tmp_path_factory.mktemp("roi") / "a.zip", labels)
    found = read_roi(path, *labels.shape)
    assert np.array_equal(painted(found, labels.shape), labels)
    assert not found.left_out


def test_a_roi_stands_where_its_object_does(tmp_path):
    ring, dot = roiread(in_two_goes(write_roi, tmp_path / "a.zip", ring_and_dot()))
    assert (ring.top, ring.left, ring.bottom, ring.right) == (2, 3, 8, 9)
    assert ring.composite
    assert (dot.top, dot.left) == (10, 12)
    assert dot.roitype == ROI_TYPE.TRACED
    assert not dot.composite


@pytest.mark.parametrize("offset", [0, 30_000, 50_000])
def test_a_roi_far_out_in_a_large_image_is_where_it_was(tmp_path, offset):
    labels = np.zeros((1, offset + 2), np.int32)
    labels[0, -1] = 1
    path = in_two_goes(write_roi, tmp_path / "a.zip", labels)
    assert read_roi(path, *labels.shape).regions[0].column == offset + 1


def test_the_same_objects_give_the_same_bytes_at_any_time_of_day(tmp_path):
    path = in_two_goes(write_roi, tmp_path / "a.zip", ring_and_dot())
    assert {member.date_time for member in zipfile.ZipFile(path).infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_rectangles_and_ovals_are_areas_and_lines_and_points_are_left_out(tmp_path):
    box = {"top": 2, "left": 3, "bottom": 12, "right": 15}
    rois = [
        ImagejRoi(roitype=ROI_TYPE.RECT, **box),
        ImagejRoi(roitype=ROI_TYPE.OVAL, **box),
        ImagejRoi.frompoints([[1, 1], [5, 5]]),
    ]
    rois[2].roitype = ROI_TYPE.POLYLINE
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for number, roi in enumerate(rois):
            file.writestr(f"{number}.roi", roi.tobytes())
        file.writestr("notes.txt", "")
    found = read_roi(tmp_path / "a.zip", 20, 20)
    (rectangle, oval) = found.regions
    assert (rectangle.row, rectangle.column, rectangle.mask.shape, rectangle.mask.sum()) == (2, 3, (10, 12), 120)
    assert oval.mask.sum() == pytest.approx(np.pi / 4 * 120, rel=0.05)
    assert found.left_out == {"ROIs that are no areas": 1}


@pytest.mark.parametrize(
    ("places", "counted"),
    [
        ([{"position": n} for n in (1, 2, 3)], {"slices": 3}),
        ([{"c_position": c, "z_position": 4, "position": c} for c in (1, 2)], {"channels": 2}),
        ([{"t_position": t} for t in (0, 1, 1, 5)], {"frames": 2}),
        ([{"z_position": 2}, {}], {}),
    ],
)
def test_slices_channels_and_frames_of_rois_are_counted_where_they_are_several(tmp_path, places, counted):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for number, place in enumerate(places):
            roi = ImagejRoi(roitype=ROI_TYPE.RECT, left=3 * number, bottom=2, right=3 * number + 2, **place)
            file.writestr(f"{number}.roi", roi.tobytes())
    found = read_roi(tmp_path / "a.zip", 20, 20)
    assert (len(found.regions), found.left_out) == (len(places), counted)


@pytest.mark.parametrize("kind", [ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE])
def test_text_and_pictures_are_no_areas(tmp_path, kind):
    roi = ImagejRoi(roitype=ROI_TYPE.RECT, subtype=kind, top=2, left=3, bottom=12, right=15)
    (tmp_path / "a.roi").write_bytes(roi.tobytes())
    assert read_roi(tmp_path / "a.roi", 20, 20) == ([], {"ROIs that are no areas": 1}, {})


def composite(*path):
    return ImagejRoi(
        roitype=ROI_TYPE.RECT, bottom=9, right=9, shape_roi_size=len(path), multi_coordinates=np.array(path, np.float32)
    ).tobytes()


def spline(points):
    roi = ImagejRoi.frompoints(points)
    roi.options |= ROI_OPTIONS.SPLINE_FIT
    return roi.tobytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (composite(0, 5, 5, 3, 5, 9, 9, 9, 9, 5, 4), "curves; choose Edit > Selection > Interpolate"),
        (spline([[1, 1], [9, 1], [5, 9]]), "curves; choose Edit > Selection > Interpolate"),
        (composite(7, 5, 5), "RuntimeError"),
        (composite(0, 5), "IndexError"),
        (composite(np.inf), "OverflowError"),
        (ImagejRoi.frompoints([[1, 1], [5, 5], [1, 5]]).tobytes()[:66], "TypeError"),
    ],
)
def test_what_cannot_be_drawn_of_a_roi_is_told_in_one_line(tmp_path, content, reason):
    (tmp_path / "a.roi").write_bytes(content)
    with pytest.raises(InputError, match=f"a.roi: is not a file of ImageJ's ROIs, or damaged .*{reason}") as caught:
        read_roi(tmp_path / "a.roi", 20, 20)
    assert len(str(caught.value).splitlines()) == 1


def test_a_zip_with_any_damaged_byte_is_told_in_one_line_or_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.roi", composite(0, 5, 5, 1, 9, 5, 1, 9, 9, 4) + bytes(range(200)))
    sound = (tmp_path / "a.zip").read_bytes()
    refused = 0
    for place in range(len(sound)):
        damaged = bytearray(sound)
        damaged[place] ^= 0xFF
        (tmp_path / "a.zip").write_bytes(damaged)
        try:
            read_roi(tmp_path / "a.zip", 20, 20)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            refused += 1
    assert refused > len(sound) / 2


def test_a_single_roi_is_an_object_cut_at_the_border_of_the_image(tmp_path):
    roi = ImagejRoi.frompoints(np.array([[-3, -2], [4, -2], [4, 5], [-3, 5]]))
    (tmp_path / "a.roi").write_bytes(roi.tobytes())
    (region,) = read_roi(tmp_path / "a.roi", 20, 20).regions
    assert (region.row, region.column, region.mask.shape) == (0, 0, (5, 4))
    assert read_roi(tmp_path / "a.roi", 20, 20).regions[0].mask.all()


@pytest.mark.parametrize("name", ["a.roi", "a.zip"])
@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"Iout", b"Iout" + bytes(80)])
def test_a_damaged_file_is_told_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    try:
        found = read_roi(tmp_path / name, 9, 9)
    except InputError as error:
        assert str(error).startswith(f"{tmp_path / name}: is not a file of ImageJ's ROIs, or damaged")
    else:
        assert found.regions == []
        assert found.left_out


@pytest.mark.parametrize(
    ("kind", "arc", "area"), [(ROI_TYPE.OVAL, 0, np.pi * 1200), (ROI_TYPE.RECT, 40, 4800 - (4 - np.pi) * 400)]
)
def test_ovals_and_rounded_rectangles_are_round(tmp_path, kind, arc, area):
    roi = ImagejRoi(roitype=kind, rounded_rect_arc_size=arc, top=10, left=10, bottom=70, right=90)
    (tmp_path / "a.roi").write_bytes(roi.tobytes())
    assert read_roi(tmp_path / "a.roi", 99, 99).regions[0].mask.sum() == pytest.approx(area, rel=0.004)
