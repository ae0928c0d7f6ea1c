import io
import re
import tarfile
import zipfile

import cv2
import numpy as np
import pytest
from roifile import ImagejRoi

from unetseg.dataset.importing import import_archive
from unetseg.errors import InputError

IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def pair(name):
    return {f"{name}.png": png(IMAGE), f"{name}_mask.png": png((IMAGE > 9) * np.uint8(255))}


def packed(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(path, *members):
    """Pack files, given by name and content, and hard links, given by name and what they lead to."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.LNKTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, None if isinstance(content, str) else io.BytesIO(content))
    return path


def problems(tmp_path, source):
    return import_archive([source], tmp_path / "out" / "o.zip").problems


def refusal(tmp_path, source):
    with pytest.raises(InputError) as error:
        import_archive([source], tmp_path / "o.zip")
    assert not (tmp_path / "o.zip").exists()
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{source}: ")
    assert not re.search("unetseg-|tmp[a-z0-9_]{8}", line.removeprefix(f"{source}"))
    return line.removeprefix(f"{source}: ")


def test_zips_in_a_zip_that_cannot_be_unpacked_are_named_as_its_members_and_the_rest_is_imported(tmp_path):
    inner = packed(pair("c"))
    damaged = inner.replace(png(IMAGE), png(IMAGE)[::-1])
    beside = {f"x/{name}": content for name, content in pair("d").items()}
    others = {"deep/y.zip": b"PK\3\4rubbish", "z.ZIP": damaged, "x.zip": inner, "v/w.zip": inner}
    source = tmp_path / "a.zip"
    source.write_bytes(packed(pair("b") | beside | others))
    rubbish, clash, damage = problems(tmp_path, source)
    assert rubbish.startswith(f"{source}/deep/y.zip: is cut off or damaged")
    assert clash == f"{source}/x.zip: is not unpacked, as x stands beside it; rename one"
    assert damage.startswith(f"{source}/z.ZIP: member 'c.png': is damaged")
    with zipfile.ZipFile(tmp_path / "out" / "o.zip") as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"b", "c", "d", "sources.csv"}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_what_a_mac_adds_to_an_archive_is_passed_over_and_an_empty_zip_says_that_there_are_no_objects(tmp_path, kind):
    clutter = ["__MACOSX/._b.roi.zip", "._inner.zip", "._b.roi", "Icon\r", "sub/Icon\r", ".DS_Store"]
    roi = ImagejRoi.frompoints([[1, 1], [6, 1], [6, 6]]).tobytes()
    rois = {"b.roi.zip": packed({"1.roi": roi, "._1.roi": b"\0\5\x16\7", "__MACOSX/._1.roi": b"\0\5\x16\7"})}
    inner = packed(pair("c") | dict.fromkeys(clutter, b"\0\5\x16\7"))
    images = {"b.png": png(IMAGE), "e.png": png(IMAGE), "e.roi.zip": packed({})}
    members = dict.fromkeys(clutter, b"\0\5\x16\7") | images | rois | {"inner.zip": inner}
    source = tmp_path / f"a.{kind}"
    if kind == "zip":
        source.write_bytes(packed(members))
    else:
        tarred(source, *members.items())
    summary = import_archive([source], tmp_path / "o.zip")
    assert (summary.images, summary.objects) == (3, 2)
    assert [*summary.problems, *summary.warnings] == []


def test_members_of_a_tar_that_cannot_be_unpacked_are_named(tmp_path):
    files = list(pair("a").items())
    both = tarred(tmp_path / "both.tar.gz", *files, ("a.png/x", b"1"))
    assert refusal(tmp_path, both) == "cannot be unpacked: a.png/x: Not a directory"
    gone = tarred(tmp_path / "gone.tar.gz", *files, ("b.png", "nothing.png"))
    assert refusal(tmp_path, gone).startswith("holds a link to a file that it does not hold (linkname 'nothing.png'")
    outside = tarred(tmp_path / "outside.tar.gz", *files, ("../b.png", b"1"))
    assert refusal(tmp_path, outside) == "cannot be unpacked safely: '../b.png' leads out of the archive"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty; download"),
        (b"hello\nworld", "a text that begins with 'hello'; download"),
        (b"\n<!DOCTYPE html>", "a web page; download"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(99), "a 7z archive; unpack it and run `unetseg import` on the folder"),
        (b"\1" * 999, "of no known kind; download"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_what_is_no_archive_is_told_by_what_it_is(tmp_path, kind, content, told):
    (tmp_path / f"x.{kind}").write_bytes(content)
    assert refusal(tmp_path, tmp_path / f"x.{kind}").startswith(f"is not a {kind[:3]} file but {told}")


def test_a_tar_that_is_cut_off_is_told_from_another_kind_of_file(tmp_path):
    whole = tarred(tmp_path / "whole.tar.gz", *pair("a").items()).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path, tmp_path / "cut.tar.gz").startswith("is cut off or damaged (")


def test_an_archive_without_images_is_named_as_the_user_knows_it(tmp_path):
    (tmp_path / "x.zip").write_bytes(packed({"notes": b""}))
    assert refusal(tmp_path, tmp_path / "x.zip").startswith("nothing there with images and masks that belong together")
