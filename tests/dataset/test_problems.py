import pytest

from unetseg.dataset.problems import Findings, attempt
from unetseg.errors import InputError


def fail():
    raise InputError("one", "two")


def test_an_attempt_gives_the_result_or_the_lines_of_the_error():
    assert attempt(abs, -2) == (2, [])
    assert attempt(fail) == (None, ["one", "two"])


def test_other_exceptions_are_defects_and_pass():
    with pytest.raises(ZeroDivisionError):
        attempt(divmod, 1, 0)


def found(usable=1, unusable=0, foreground=True):
    findings = Findings()
    for number in range(usable):
        findings.add_usable([f"odd {number}"], foreground)
    for number in range(unusable):
        findings.add_unusable(f"id{number}", [f"bad {number}", "worse"])
    return findings


def test_the_listing_has_what_is_unusable_first():
    assert found(1, 1).lines() == ["bad 0", "worse", "warning: odd 0"]


def test_a_long_listing_is_cut_and_says_by_how_much():
    lines = found(1, 40).first_lines()
    assert len(lines) == 51
    assert lines[-1] == "and 31 lines more: `unetseg check ARCHIVE` lists them all"


def test_bad_samples_stop_the_work_unless_they_are_to_be_skipped():
    with pytest.raises(InputError, match=r"^bad 0\nworse\nwarning: odd 0\n1 of 2 samples cannot be used: fix or "):
        found(1, 1).raise_unusable(skip_bad=False)
    found(1, 1).raise_unusable(skip_bad=True)
    found(1, 0).raise_unusable(skip_bad=False)


@pytest.mark.parametrize("skip_bad", [True, False])
def test_nothing_usable_stops_the_work_in_any_case(skip_bad):
    with pytest.raises(InputError, match="2 of 2 samples cannot be used"):
        found(0, 2).raise_unusable(skip_bad)


@pytest.mark.parametrize("skip_bad", [True, False])
def test_a_data_set_without_any_foreground_stops_the_work_in_any_case(skip_bad):
    with pytest.raises(InputError, match=r"^no mask has any foreground: 255 or 1 is object, 0 is background\nwarning"):
        found(3, foreground=False).raise_unusable(skip_bad)


def test_the_report_counts_and_names():
    assert found(2, 1).as_json() == {
        "samples": 3,
        "used": 2,
        "skipped": [{"id": "id0", "problem": "bad 0; worse"}],
        "warnings": ["odd 0", "odd 1"],
    }
