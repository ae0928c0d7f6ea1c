import numpy as np
import pytest

from unetseg.errors import InputError
from unetseg.images.stacks import Metadata, Stack, choose, count_planes, find_metadata

VALUES = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 10, 12), np.uint8)  # time, depth, channel
NAMED = Metadata(["DAPI", "GFP", "gfp", "Brightfield"], None)


def stack(**changes):
    def read(time, depth, channels, start, stop):
        return np.moveaxis(VALUES[time, depth, list(channels), start:stop], 0, -1)

    facts = {"height": 10, "width": 12, "times": 2, "depths": 3, "channels": 4, "colour": False}
    return Stack(**facts | {"metadata": [NAMED], "dtype": VALUES.dtype, "read": read} | changes)


def whole(opened, *arguments):
    return choose(opened, *arguments)(0, 10)[..., 0]


def test_planes_count_depth_within_time():
    assert count_planes(stack()) == 6
    assert np.array_equal(whole(stack(), 4, 0, "none"), VALUES[1, 1, 0])


def test_projection_leaves_one_plane_for_each_time():
    assert count_planes(stack(), "max") == 2
    assert np.array_equal(whole(stack(), 1, 3, "max"), VALUES[1, :, 3].max(axis=0))
    assert np.array_equal(whole(stack(), 0, 3, "mean"), np.rint(VALUES[0, :, 3].mean(axis=0)))
    assert whole(stack(), 0, 3, "mean").dtype == np.uint8


@pytest.mark.parametrize(("name", "number"), [("DAPI", 0), ("dapi", 0), ("GFP", 1), ("gfp", 2), ("brightField", 3)])
def test_a_channel_has_a_number_and_may_have_a_name(name, number):
    assert np.array_equal(whole(stack(), 0, name, "none"), VALUES[0, 0, number])
    assert np.array_equal(whole(stack(), 0, number, "none"), VALUES[0, 0, number])


def test_each_scene_has_names_and_pixels_of_its_own():
    scenes = [Metadata(["A", "DAPI", "", ""], (0.5, 0.5)), Metadata(["DAPI", "A", "", ""], (0.1, 0.1))]
    several = stack(metadata=scenes)
    assert np.array_equal(whole(several, 2, "DAPI", "none"), VALUES[0, 2, 1])
    assert np.array_equal(whole(several, 3, "DAPI", "none"), VALUES[1, 0, 0])
    assert np.array_equal(whole(several, 1, "DAPI", "max"), VALUES[1, :, 0].max(axis=0))
    assert [find_metadata(several, plane, "none") for plane in (2, 3)] == scenes
    assert [find_metadata(several, plane, "max") for plane in (0, 1)] == scenes
    long = stack(times=6, depths=1, metadata=scenes)
    assert [find_metadata(long, plane, "none") for plane in range(6)] == [scenes[0]] * 3 + [scenes[1]] * 3


@pytest.mark.parametrize(("channel", "rule"), [(4, "channel 4"), (-1, "channel -1"), ("Gfp", "'Gfp'"), ("x", "'x'")])
def test_a_channel_that_is_not_there_is_told_with_those_that_are(channel, rule):
    listed = r"it has 4 channels \(DAPI, GFP, gfp, Brightfield\), counted from 0"
    with pytest.raises(InputError, match=f"^has no .*{rule}; {listed}"):
        whole(stack(), 0, channel, "none")


def test_a_number_that_is_also_the_name_of_another_channel_is_refused():
    numbered = stack(metadata=[Metadata(["1", "2", "2", "3"], None)])
    listed = r"^has 4 channels \(1, 2, 2, 3\), of which "
    with pytest.raises(InputError, match=listed + "channel 1 may be number 1, .* or the one named 1, number 0; rename"):
        whole(numbered, 0, 1, "none")
    with pytest.raises(InputError, match="channel 0 may be number 0, counted from 0, or the one named 0, number 3"):
        whole(stack(metadata=[Metadata(["b", "1", "c", "0"], None)]), 0, 0, "none")
    for channel, number in ((0, 0), ("1", 0), (2, 2), ("3", 3)):
        assert np.array_equal(whole(numbered, 0, channel, "none"), VALUES[0, 0, number])
    same = stack(metadata=[Metadata(["0", "1", "2", "3"], None)])
    assert np.array_equal(whole(same, 0, 1, "none"), VALUES[0, 0, 1])


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_that_are_no_colours_are_never_cut_to_three_in_silence(channels):
    with pytest.raises(InputError, match=rf"has {channels} channels.*name one with --channel, or"):
        whole(stack(channels=channels, metadata=[Metadata([], None)]), 0, "all", "none")


def test_colours_stay_together():
    colour = stack(channels=3, colour=True)
    assert np.array_equal(choose(colour, 0, "all", "none")(0, 10), np.moveaxis(VALUES[0, 0, :3], 0, -1))


def test_several_images_are_never_cut_to_one_in_silence():
    with pytest.raises(InputError, match=r"holds 6 images; .* project the image's depth \(data\.project, --project\)"):
        choose(stack(), None, 0, "none")
    with pytest.raises(InputError, match="has no plane 6; it holds 6, counted from 0"):
        choose(stack(), 6, 0, "none")


def test_a_claim_of_any_number_of_planes_is_refused():
    with pytest.raises(InputError, match="claims to hold 3,000,000,000 planes; at most 100,000"):
        count_planes(stack(times=10**9))
