from hypothesis import given, settings
from hypothesis import strategies as st

from unetseg.splitting.groups import connected, joined, names_groups


def test_a_group_is_all_that_a_chain_of_pairs_connects():
    groups = connected("dcba", [("a", "c"), ("c", "d")])
    assert groups == {"a": "a", "b": "b", "c": "a", "d": "a"}


def test_without_pairs_each_sample_is_its_own_group():
    assert connected(["b", "a"], []) == {"a": "a", "b": "b"}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))), st.randoms())
def test_the_order_of_ids_and_pairs_does_not_matter(numbers, random):
    ids, pairs = [str(number) for number in range(10)], [(str(first), str(second)) for first, second in numbers]
    before = connected(ids, pairs)
    random.shuffle(ids)
    random.shuffle(pairs)
    assert connected(ids, [pair[::-1] for pair in pairs]) == before
    assert all(before[first] == before[second] for first, second in pairs)


def test_samples_that_share_a_patient_or_a_slide_are_one_group():
    cells = ["aP1", "bP2", "cQ2", "dR3", "e1 ", "f  "]
    rows = [{"id": name, "patient": patient.strip(), "slide": slide.strip()} for name, patient, slide in cells]
    assert joined(rows, "abcdef") == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "e", "f": "f"}


def test_samples_that_the_table_puts_in_no_group_are_grouped_by_pairs():
    rows = [{"id": name, "group": group} for name, group in [("a", "1"), ("b", "1"), ("c", "2"), ("d", "")]]
    pairs = [("b", "c"), ("d", "e"), ("c", "f")]
    assert joined(rows, "abcdef", pairs) == {"a": "a", "b": "a", "c": "c", "d": "d", "e": "d", "f": "c"}


def test_case_tells_no_groups_apart_and_rows_of_unused_samples_are_passed_over():
    rows = [{"id": "a", "group": "Plate 1"}, {"id": "bad", "group": "x"}, {"id": "b", "group": "plate 1"}]
    assert joined(rows, ["a", "b"]) == {"a": "a", "b": "a"}


def test_planes_of_one_file_belong_together_and_with_what_is_found_beside_them():
    rows = [{"id": name, "stack": stack, "group": ""} for name, stack in zip("abcd", "sstt", strict=True)]
    assert joined(rows, "abcde", [("b", "e")]) == {"a": "a", "b": "a", "c": "c", "d": "c", "e": "a"}
    assert joined(rows, "abcde", [("a", "c")])["d"] == "a"
    assert not names_groups(rows)
