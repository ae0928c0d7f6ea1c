import contextlib
import copy
import errno
import io
import os
import stat
import struct
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from values import params

from unetseg.dataset import archive
from unetseg.errors import InputError

LIMITS = {"max_members": 1000, "max_gigabytes": 0.1, "max_ratio": 200.0}
DATA = params(data=LIMITS).data
SAMPLE = {"ab/images/ab.png": b"image", "ab/masks/1.png": b"mask one", "ab/masks/2.png": b"mask two"}


def pack(path, members, change=None):
    """Write a zip of names and contents; `change` may falsify its list of members before that is written."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
        if change:
            change(file)
    return path


def unpack(path, target, **limits):
    with archive.opened(path, params(data=LIMITS | limits).data) as contents:
        archive.extract(contents, target)
    return tree(target)


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def refusal(path, **limits):
    """Give the message with which an archive is refused, and see to it that nothing but the archive is left."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(InputError) as error:
        unpack(path, path.parent / "out" / "unzipped", **limits)
    left = [each for each in path.parent.rglob("*") if each.name != "out"]
    assert sorted(left) == before
    return str(error.value)


def add(name, content=b"content", **attributes):
    """Make a change that adds a member of any name, with any attribute of its entry in the list of members."""

    def change(file):
        member = zipfile.ZipInfo("x")
        member.filename = name
        file.NameToInfo.clear()  # a second member of a name is what some tests want, without a warning
        file.writestr(member, content)
        for attribute, value in attributes.items():
            setattr(member, attribute, value)

    return change


def test_samples_at_the_root_are_extracted_as_they_stand(tmp_path):
    assert unpack(pack(tmp_path / "a.zip", SAMPLE), tmp_path / "out") == SAMPLE


@pytest.mark.parametrize("folder", ["stage1_train/", "images/", "masks/", "deep/er/"])
def test_a_folder_around_the_samples_is_left_away(tmp_path, folder):
    packed = pack(tmp_path / "a.zip", {folder + name: content for name, content in SAMPLE.items()})
    assert unpack(packed, tmp_path / "out") == SAMPLE


def test_what_archivers_add_is_left_out_and_is_no_reason_to_complain(tmp_path):
    clutter = [
        "__MACOSX/ab/images/._ab.png",
        "ab/Icon\r",
        "ab/.DS_Store",
        "ab/images/Thumbs.db",
        "ab/masks/._1.png",
        ".DS_Store",
    ]
    packed = pack(tmp_path / "a.zip", SAMPLE | dict.fromkeys(clutter, b"clutter"))
    assert unpack(packed, tmp_path / "out") == SAMPLE
    with archive.opened(packed, DATA) as contents:
        assert contents.left_out == []


@pytest.mark.parametrize("folder", ["", "train/"])
@pytest.mark.parametrize("place", ["", "train/"])
def test_the_groups_are_kept_beside_the_samples(tmp_path, folder, place):
    members = {folder + name: content for name, content in SAMPLE.items()}
    if folder == place or not place:
        packed = pack(tmp_path / "a.zip", members | {place + "groups.csv": b"id,group\n"})
        assert unpack(packed, tmp_path / "out") == SAMPLE | {"groups.csv": b"id,group\n"}


def test_two_files_of_groups_are_refused(tmp_path):
    members = {f"train/{name}": content for name, content in SAMPLE.items()}
    packed = pack(tmp_path / "a.zip", members | {"groups.csv": b"1", "train/groups.csv": b"2"})
    assert "member 'train/groups.csv': is there twice" in refusal(packed)


def test_files_of_no_sample_are_left_out_and_named(tmp_path):
    packed = pack(tmp_path / "a.zip", SAMPLE | {"README.md": b"text", "ab/notes.txt": b"text"})
    with archive.opened(packed, DATA) as contents:
        assert contents.left_out == ["README.md", "ab/notes.txt"]
        archive.extract(contents, tmp_path / "out")
    assert tree(tmp_path / "out") == SAMPLE


def test_the_samples_are_listed_without_unpacking_them(tmp_path):
    with archive.opened(pack(tmp_path / "a.zip", SAMPLE | {"aa/masks/": b"", "groups.csv": b""}), DATA) as contents:
        assert contents.ids == ["aa", "ab"]
    assert list(tmp_path.iterdir()) == [tmp_path / "a.zip"]


def test_an_empty_folder_of_a_sample_is_kept_so_that_it_can_be_reported(tmp_path):
    unpack(pack(tmp_path / "a.zip", SAMPLE | {"aa/masks/": b""}), tmp_path / "out")
    assert list((tmp_path / "out" / "aa").iterdir()) == [tmp_path / "out" / "aa" / "masks"]


def test_an_older_folder_of_samples_is_replaced_as_a_whole(tmp_path):
    (tmp_path / "out" / "old").mkdir(parents=True)
    assert unpack(pack(tmp_path / "a.zip", SAMPLE), tmp_path / "out") == SAMPLE
    assert not (tmp_path / "out" / "old").exists()


def test_a_refused_archive_leaves_the_older_folder_of_samples_alone(tmp_path):
    unpack(pack(tmp_path / "a.zip", SAMPLE), tmp_path / "out")
    damaged = pack(tmp_path / "b.zip", {"x/images/x.png": b"x"}, lambda file: setattr(file.filelist[0], "CRC", 1))
    with pytest.raises(InputError):
        unpack(damaged, tmp_path / "out")
    assert tree(tmp_path / "out") == SAMPLE
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.zip", "b.zip", "out"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def fill(_archive, member):
        yield b"half"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), member.filename)

    monkeypatch.setattr(archive, "read_member", fill)
    packed = pack(tmp_path / "a.zip", SAMPLE)
    with pytest.raises(OSError, match="No space left on device"):
        unpack(packed, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [packed]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("/etc/passwd", "is an absolute path"),
        ("//server/share/x.png", "is an absolute path"),
        ("../x.png", "leads out of its folder by '..'"),
        ("ab/images/../../../x.png", "leads out of its folder by '..'"),
        ("ab/images/..", "leads out of its folder by '..'"),
        ("__MACOSX/../../x", "leads out of its folder by '..'"),
        ("ab\\images\\x.png", "has a backslash in its name"),
        ("..\\x.png", "has a backslash in its name"),
        ("C:/x.png", "begins with a drive letter"),
        ("c:x.png", "begins with a drive letter"),
        ("ab/images//x.png", "has an empty name or '.' in its path"),
        ("ab/./images/x.png", "has an empty name or '.' in its path"),
        ("", "has an empty name or '.' in its path"),
        ("ab/images/" + "x" * 296 + ".png", "has a name of 300 bytes, more than 255"),
        ("ab/images/" + "é" * 150, "has a name of 300 bytes, more than 255"),
        ("ab/images/x\n.png", "has a control character in its name"),
        ("ab/images/x.png\0.txt", "has a control character in its name"),
        ("ab/images/\x1b[2Jx.png", "has a control character in its name"),
        ("ab/images/gnp.\u202ex", "has a control character in its name"),
        ("ab/images/CON", "has a name that Windows keeps for a device"),
        ("ab/images/aux.png", "has a name that Windows keeps for a device"),
        ("Lpt1/images/x.png", "has a name that Windows keeps for a device"),
        ("ab/images/x.ZIP", "is an archive inside the archive"),
        ("train.tar.gz", "is an archive inside the archive"),
        ("ab/images/sub/x.png", "is in a folder where a file should be"),
        ("ab/masks/1.tif/", "is in a folder where a file should be"),
        ("ef/images", "is a file where a folder should be"),
        ("ab/masks/1.PNG", "'ab/masks/1.png' differs from 'ab/masks/1.PNG' only in case or Unicode form"),
        ("ab", "'ab' is a file and a folder at once"),
        ("ab/masks/1.png/x.png", "'ab/masks/1.png' is a file and a folder at once"),
        ("ab/masks/1.png", "is there twice"),
    ],
)
def test_a_member_of_a_hostile_name_is_refused(tmp_path, name, rule):
    message = refusal(pack(tmp_path / "a.zip", SAMPLE, add(name)))
    assert all(line.startswith(f"{tmp_path}/a.zip: member '") for line in message.splitlines())
    assert all(line.isprintable() for line in message.splitlines())
    assert rule in message
    assert repr(name)[1:20] in message


def test_names_that_differ_only_in_their_unicode_form_are_refused(tmp_path):
    members = SAMPLE | {"ab/masks/\u00e9.png": b"1", "ab/masks/e\u0301.png": b"2"}
    assert "is there twice" in refusal(pack(tmp_path / "a.zip", members))


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [
        ({"external_attr": (stat.S_IFLNK | 0o777) << 16}, "is a symbolic link"),
        ({"external_attr": (stat.S_IFCHR | 0o666) << 16}, "is a device, pipe or socket"),
        ({"external_attr": (stat.S_IFBLK | 0o666) << 16}, "is a device, pipe or socket"),
        ({"external_attr": (stat.S_IFIFO | 0o666) << 16}, "is a device, pipe or socket"),
        ({"external_attr": (stat.S_IFSOCK | 0o666) << 16}, "is a device, pipe or socket"),
        ({"external_attr": (stat.S_IFDIR | 0o777) << 16}, "is a folder where a file should be"),
        ({"flag_bits": 1}, "is encrypted"),
        ({"compress_type": zipfile.ZIP_BZIP2}, "uses compression method 12"),
        ({"compress_type": zipfile.ZIP_LZMA}, "uses compression method 14"),
        ({"compress_type": 99}, "uses compression method 99"),
        ({"CRC": 1}, "is damaged (Bad CRC-32"),
        ({"compress_size": 10_000}, "overlaps what follows it in the file"),
        ({"compress_size": 6}, "is damaged"),
        ({"file_size": 6}, "unpacks to more than the 6 bytes it declares"),
        ({"file_size": 8}, "unpacks to fewer than the 8 bytes it declares"),
    ],
)
def test_a_member_that_cannot_be_unpacked_faithfully_is_refused(tmp_path, attributes, rule):
    message = refusal(pack(tmp_path / "a.zip", SAMPLE, add("cd/images/cd.png", **attributes)))
    assert f"{tmp_path}/a.zip: member 'cd/images/cd.png': {rule}" in message


def test_a_folder_with_contents_is_refused(tmp_path):
    assert "member 'cd/images/': is a folder with contents" in refusal(
        pack(tmp_path / "a.zip", SAMPLE, add("cd/images/", file_size=7))
    )


def test_members_that_share_bytes_are_refused(tmp_path):
    def point_twice_at_the_same_bytes(file):
        other = copy.copy(file.filelist[0])
        other.filename = "ab/masks/3.png"
        file.filelist.append(other)

    message = refusal(pack(tmp_path / "a.zip", SAMPLE, point_twice_at_the_same_bytes))
    assert "member 'ab/images/ab.png': overlaps what follows it in the file" in message


def test_a_bomb_is_refused_by_its_ratio_before_it_is_unpacked(tmp_path):
    bomb = pack(tmp_path / "a.zip", SAMPLE | {"ab/masks/3.png": bytes(20_000_000)})
    message = refusal(bomb)
    assert "member 'ab/masks/3.png': unpacks to 10" in message
    assert "more than data.max_ratio = 200; raise it in params.yaml" in message
    assert "ab/masks/3.png" in unpack(bomb, tmp_path / "out", max_ratio=1100.0)


def test_a_large_uncompressed_mask_is_no_bomb(tmp_path):
    assert len(unpack(pack(tmp_path / "a.zip", SAMPLE | {"ab/masks/3.bmp": bytes(2048 * 2048)}), tmp_path / "out")) == 4


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    packed = pack(tmp_path / "a.zip", SAMPLE | {f"ab/masks/{number}.bmp": bytes(5_000_000) for number in range(3, 8)})
    message = refusal(packed, max_gigabytes=0.02)
    assert message.startswith(f"{packed}: unpacks to 0.025 GB, more than data.max_gigabytes = 0.02; raise it")


def test_an_archive_of_too_many_members_is_refused(tmp_path):
    message = refusal(pack(tmp_path / "a.zip", SAMPLE), max_members=2)
    assert message.startswith(f"{tmp_path}/a.zip: holds 3 members, more than data.max_members = 2; raise it")


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"max_members": 2}, "holds 4 members, more than 2; make several archives of it"),
        ({"max_gigabytes": 0.001}, "unpacks to 0.02 GB, more than 0.001; make several archives of it"),
        ({}, "times its packed size, more than 200; if you trust it, pack it uncompressed (zip -0)"),
    ],
)
def test_where_params_yaml_is_not_in_use_advice_does_without_it(limits, rule, tmp_path):
    bomb = pack(tmp_path / "a.zip", SAMPLE | {"ab/masks/3.png": bytes(20_000_000)})
    for path, found in ((bomb, rule), (tmp_path, "and name my.zip"), (tmp_path / "b.zip", "b.zip: no such file")):
        with pytest.raises(InputError) as error, archive.opened(path, params(data=LIMITS | limits).data, None):
            pass
        assert str(error.value).endswith(found)
        assert "data." not in str(error.value)


def test_a_count_of_members_that_lies_is_not_believed(tmp_path):
    packed = pack(tmp_path / "a.zip", SAMPLE)
    content = bytearray(packed.read_bytes())
    content[-14:-10] = struct.pack("<HH", 1, 1)
    packed.write_bytes(content)
    assert "holds 3 members" in refusal(packed, max_members=2)


def test_a_bomb_with_a_header_that_lies_is_stopped_at_the_announced_size(tmp_path):
    def announce_ten_bytes(file):
        file.filelist[-1].file_size = 10

    bomb = pack(tmp_path / "a.zip", SAMPLE | {"ab/masks/3.png": bytes(50_000_000)}, announce_ten_bytes)
    with archive.opened(bomb, DATA) as contents:
        tracemalloc.start()
        with pytest.raises(InputError, match="unpacks to more than the 10 bytes it declares"):
            list(archive.read_member(contents.archive, contents.members["ab/masks/3.png"]))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 10_000_000
    refusal(bomb)


def test_all_that_is_wrong_is_listed_together(tmp_path):
    def change(file):
        add("../x")(file)
        add("link", external_attr=stat.S_IFLNK << 16)(file)
        add("x\\y")(file)

    assert len(refusal(pack(tmp_path / "a.zip", SAMPLE, change)).splitlines()) == 3


def test_all_damaged_members_are_listed_together(tmp_path):
    def change(file):
        for member in file.filelist:
            member.CRC ^= 1

    lines = refusal(pack(tmp_path / "a.zip", SAMPLE, change)).splitlines()
    assert [line.split("'")[1] for line in lines] == list(SAMPLE)


def test_a_long_list_of_what_is_wrong_is_cut(tmp_path):
    lines = refusal(pack(tmp_path / "a.zip", SAMPLE | {f"../{number}": b"" for number in range(50)})).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 30 more"


def test_an_archive_cut_off_is_told_from_another_kind_of_file(tmp_path):
    whole = pack(tmp_path / "whole.zip", {name: os.urandom(1000) for name in SAMPLE}).read_bytes()
    cut = tmp_path / "cut.zip"
    for end in (10, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        cut.write_bytes(whole[:end])
        assert f"{cut}: is cut off or damaged" in refusal(cut)
    cut.write_text("<!DOCTYPE html>")
    assert refusal(cut) == f"{cut}: is not a zip file but a web page; download or pack it again"


def test_every_way_to_cut_or_to_change_an_archive_ends_in_a_refusal_or_in_the_same_contents(tmp_path):
    whole = pack(tmp_path / "a.zip", SAMPLE).read_bytes()
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            with contextlib.suppress(InputError), archive.open_zip(io.BytesIO(damaged)) as file:
                for member in archive.contents(file, DATA).members.values():
                    assert b"".join(archive.read_member(file, member)) in SAMPLE.values()


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\5\6" + bytes(18), b"\x1f\x8b\x08", b"a,b\n1,2\n"])
def test_a_file_without_samples_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    message = refusal(tmp_path / "a.zip")
    assert len(message.splitlines()) == 1
    assert "is not a zip file" in message or "no sample found: expected <id>/images/<image>" in message


@pytest.mark.parametrize("names", [["a.png", "b.png"], ["images/a.png", "masks/a.png"], ["__MACOSX/ab/images/ab.png"]])
def test_an_archive_of_another_layout_is_refused_with_the_layout_that_is_wanted(tmp_path, names):
    message = refusal(pack(tmp_path / "a.zip", dict.fromkeys(names, b"")))
    assert "no sample found: expected <id>/images/<image> and <id>/masks/<mask>" in message
    assert len(message.splitlines()) == 1


def test_samples_in_two_places_are_refused(tmp_path):
    members = {f"{folder}/{name}": content for folder in ("train", "test") for name, content in SAMPLE.items()}
    assert "samples stand in 2 places, such as 'test/' and 'train/'" in refusal(pack(tmp_path / "a.zip", members))


def test_a_missing_archive_is_reported_with_what_to_do(tmp_path):
    message = refusal(tmp_path / "none.zip")
    assert message.startswith(f"{tmp_path}/none.zip: no such file; set data.archive in params.yaml")


def test_a_folder_in_the_place_of_the_archive_is_refused(tmp_path):
    (tmp_path / "a.zip").mkdir()
    assert f"{tmp_path}/a.zip: is a folder, not a zip file" in refusal(tmp_path / "a.zip")


def test_a_pipe_in_the_place_of_the_archive_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    assert f"{tmp_path}/a.zip: is not a regular file" in refusal(tmp_path / "a.zip")


def test_an_archive_that_may_not_be_read_is_reported(tmp_path, monkeypatch):
    packed = pack(tmp_path / "a.zip", SAMPLE)

    def deny(path, _mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "open", deny)
    assert refusal(packed) == f"{packed}: cannot be read: Permission denied"


def test_more_members_are_read_than_zip_files_without_zip64_can_have(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)  # in place of 65,535, so that few will do
    packed = pack(tmp_path / "a.zip", SAMPLE)
    assert b"PK\6\6" in packed.read_bytes()[-100:]  # the end record of Zip64
    assert unpack(packed, tmp_path / "out") == SAMPLE


def test_sizes_in_the_form_of_zip64_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 3)
    assert unpack(pack(tmp_path / "a.zip", SAMPLE), tmp_path / "out") == SAMPLE


def test_members_of_unknown_size_are_read(tmp_path):
    class Pipe:
        """A file that cannot go back, so that zipfile writes sizes behind the contents."""

        def __init__(self, path):
            self.file = path.open("wb")
            self.write, self.flush = self.file.write, self.file.flush

    pipe = Pipe(tmp_path / "a.zip")
    with pipe.file:
        pack(pipe, SAMPLE)
    assert unpack(tmp_path / "a.zip", tmp_path / "out") == SAMPLE


NAMES = st.text(st.sampled_from("ab./\\:AÀ\u0300\n"), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.dictionaries(NAMES | NAMES.map("ab/images/{}".format), st.binary(max_size=9), max_size=4))
def test_no_name_leads_out_of_the_target(tmp_path, members):
    (tmp_path / "in").mkdir(exist_ok=True)
    packed = pack(tmp_path / "in" / "a.zip", members)
    with contextlib.suppress(InputError):
        assert set(unpack(packed, tmp_path / "in" / "out").values()) <= set(members.values())
    assert {each.name for each in packed.parent.iterdir()} <= {"a.zip", "out"}
    assert list(tmp_path.iterdir()) == [packed.parent]


@pytest.mark.realdata
def test_the_real_samples_come_out_as_plain_unzipping_gives_them(realdata, tmp_path):
    packed = realdata / "stage1_small.zip"
    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path / "plain")
    assert unpack(packed, tmp_path / "out", max_members=10_000) == tree(tmp_path / "plain")


def test_names_of_thousands_of_folders_are_refused_in_little_memory(tmp_path):
    deep = {f"{number}/" + "a/" * 30_000 + "b.png": b"" for number in range(20)}
    packed = pack(tmp_path / "a.zip", SAMPLE | deep)
    tracemalloc.start()
    message = refusal(packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "characters, more than 1024" in message
    assert all(len(line) < 500 for line in message.splitlines())
    assert peak < 1e8


@pytest.mark.parametrize("name", [".h", "..a"])
def test_a_sample_whose_name_hides_it_is_refused(tmp_path, name):
    packed = pack(tmp_path / "a.zip", SAMPLE | {f"{name}/images/1.png": b"", f"{name}/masks/1.png": b""})
    assert f"{name!r}: is the id of a sample and begins with a dot, which hides it; rename its folder" in refusal(
        packed
    )


def test_an_id_too_long_for_the_files_that_are_named_after_it_is_refused(tmp_path):
    name = "L" * 201
    packed = pack(tmp_path / "a.zip", SAMPLE | {f"{name}/images/1.png": b"", f"{name}/masks/1.png": b""})
    assert "is 201 bytes long, more than 200; rename" in refusal(packed)


def test_what_jupyter_and_git_leave_in_folders_is_passed_over(tmp_path):
    clutter = {"ab/images/.ipynb_checkpoints/ab-checkpoint.png": b"", "ab/masks/.gitkeep": b""}
    assert unpack(pack(tmp_path / "a.zip", SAMPLE | clutter), tmp_path / "out") == SAMPLE


def test_names_in_utf_8_without_the_flag_are_read_as_they_were_meant(tmp_path):
    finder = unicodedata.normalize("NFD", "Zellen_ä")
    packed = pack(tmp_path / "a.zip", {f"{finder}/{part}/1.png": b"content" for part in ("images", "masks")})
    whole = bytearray(packed.read_bytes())
    for magic, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := whole.find(magic, at + 1)) >= 0:
            whole[at + flags + 1] &= 0xFF ^ 0x08  # the flag that the name is UTF-8
    packed.write_bytes(whole)
    assert set(unpack(packed, tmp_path / "out")) == {"Zellen_ä/images/1.png", "Zellen_ä/masks/1.png"}


def test_names_come_in_one_unicode_form(tmp_path):
    name = unicodedata.normalize("NFD", "é")
    packed = pack(tmp_path / "a.zip", {f"{name}/images/1.png": b"", f"{name}/masks/1.png": b""})
    with archive.opened(packed, DATA) as contents:
        assert contents.ids == [unicodedata.normalize("NFC", "é")]


@pytest.mark.parametrize("root", ["", "dataset/"])
def test_a_flat_layout_is_named_with_the_command_that_reads_it(tmp_path, root):
    packed = pack(tmp_path / "a.zip", {f"{root}{kind}/{n}.png": b"" for kind in ("images", "masks") for n in range(3)})
    assert "expected <id>/images/<image>" in refusal(packed)
    assert "`unetseg import`" in refusal(packed)


def test_a_table_of_sources_comes_along_and_is_no_sample(tmp_path):
    packed = pack(tmp_path / "a.zip", SAMPLE | {"sources.csv": b"id,source\n"})
    with archive.opened(packed, DATA) as contents:
        assert contents.ids == ["ab"]
        assert "sources.csv" in contents.members
