import numpy as np
import pytest

from unetseg.errors import InputError
from unetseg.evaluation.comparison import Scored, bootstrap_interval, compare, parse_scores, verdict
from unetseg.files import read_text, write_csv


def evaluation(shift, spread=0.02, images=60):
    rng = np.random.default_rng(0)
    values = 0.8 + rng.normal(0, 0.1, images) + shift + (rng.normal(0, spread, images) if spread else 0)
    return {f"i{index}": Scored(f"g{index // 2}", float(value)) for index, value in enumerate(values)}


BASE = evaluation(0, spread=0)


@pytest.mark.parametrize(
    ("shift", "word"), [(0.05, "B is better than A"), (-0.05, "B is worse than A"), (0, "no significant difference")]
)
def test_the_verdict_says_better_worse_or_no_significant_difference(shift, word):
    compared = compare(BASE, evaluation(shift))
    sentence = verdict(compared, "A", "B")
    assert word in sentence
    assert "60 images of 30 groups" in sentence
    assert compared.difference == pytest.approx(shift, abs=0.01)
    assert compared.interval[0] < compared.difference < compared.interval[1]


def test_pairing_tells_a_small_difference_from_a_large_spread_between_images():
    low, high = compare(BASE, evaluation(0.01, spread=0)).interval
    assert low == pytest.approx(0.01)
    assert high == pytest.approx(0.01)


def test_scores_of_arrays_of_two_sizes_are_compared_at_the_images_own_size():
    small, large = (
        {name: Scored(scored.group, scored.dice + shift, scored.dice, size) for name, scored in BASE.items()}
        for size, shift in (("128", 0.02), ("256", 0.0))
    )
    compared = compare(small, large)
    assert (compared.difference, compared.native) == (0, True)
    assert "mean Dice at the images' own size +0.0000" in verdict(compared, "A", "B")
    of_before = {name: scored._replace(size="") for name, scored in large.items()}
    assert [compare(small, other).native for other in (small, of_before)] == [False, True]
    assert (compare(of_before, of_before).native, compare(BASE, BASE).native) == (False, False)
    without = {name: scored._replace(native=None) for name, scored in large.items()}
    with pytest.raises(InputError, match="are of two sizes, and one has no column dice_native"):
        compare(small, without)


def test_an_evaluation_does_not_differ_from_itself():
    assert "no significant difference" in verdict(compare(BASE, BASE), "A", "B")


def test_images_of_a_single_group_decide_nothing():
    alone = {name: Scored("one", scored.dice) for name, scored in BASE.items()}
    sentence = verdict(compare(alone, evaluation(0.05)), "A", "B")
    assert sentence.startswith(
        "whether B is better than A cannot be told where one group holds nearly all images: mean Dice +0.0"
    )


def test_groups_of_either_evaluation_are_drawn_together_so_that_the_order_does_not_matter():
    coarse = {name: Scored("one" if int(name[1:]) < 30 else scored.group, scored.dice) for name, scored in BASE.items()}
    second = evaluation(0.02)
    forth, back = compare(coarse, second), compare(second, coarse)
    assert forth.groups == back.groups == 16
    assert forth.interval == pytest.approx([-value for value in reversed(back.interval)], abs=1e-3)


def test_images_that_only_one_evaluation_scored_are_named_and_left_out():
    second = {name: scored for name, scored in BASE.items() if name != "i7"} | {"new": Scored("g", 0.1)}
    compared = compare(BASE, second)
    assert (compared.only_first, compared.only_second, compared.images) == (["i7"], ["new"], 59)
    assert compared.difference == 0


def test_evaluations_without_a_common_image_cannot_be_compared():
    with pytest.raises(InputError, match="share no image"):
        compare(BASE, {"other": Scored("g", 0.5)})


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("8,9,4,0.25", "8,9,5,0.25", "objects 4 and 5"),
        ("8,9,4,0.25", "9,8,4,0.25", "height 8 and 9, width 9 and 8"),
        ("8,9,4,0.19024658203125", "8,9,4,3.05e-05", "foreground 0.19024658203125 and 3.05e-05"),
        ("8,9,4,", "8,9,5,0.25", "objects 4 and 5"),
    ],
)
def test_other_images_or_masks_of_the_same_names_are_not_compared(one, other, told):
    header = "id,group,dice,height,width,objects,foreground\n1,a,0.5,8,9,3,0.1\n2,b,0.5,"
    with pytest.raises(InputError, match=f"^'2' has {told}: the two evaluations are not of the same images and masks"):
        compare(*(parse_scores(f"{header}{row}\n", "x.csv") for row in (one, other)))


def test_where_one_group_holds_nearly_all_images_nothing_is_decided():
    for sizes, decided in (
        ((30, 3), False),
        ((50, 1), False),
        ((60, 3, 3), False),
        ((10, 10), True),
        ((40, 10, 5), True),
    ):
        groups = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
        interval = bootstrap_interval(np.linspace(0.1, 0.2, len(groups)), groups, 200, seed=0)
        assert (interval is not None) == decided


def test_scores_are_taken_from_the_columns_of_a_table():
    text = "id,subset,group,dice\na,test,g1,0.5\nb,test,g2,1\n"
    assert parse_scores(text, "x.csv") == {"a": Scored("g1", 0.5), "b": Scored("g2", 1.0)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,iou\na,1\n", "x.csv: has no column group, dice"),
        ("", "x.csv: has no column id, group, dice"),
        ("id,group,dice\na,g,0.5\nb,g,good\n", "x.csv:3: dice: 'good' is not a number from 0 to 1"),
        ("id,group,dice\na,g\n", "x.csv:2: dice: '' is not a number from 0 to 1"),
        ("id,group,dice\na,g,nan\n", "x.csv:2: dice: 'nan' is not a number from 0 to 1"),
        ("id,group,dice\na,g,5\n", "x.csv:2: dice: '5' is not a number from 0 to 1"),
        ("id,group,dice\na,g,-inf\n", "x.csv:2: dice: '-inf' is not a number from 0 to 1"),
        ("id,group,dice\na,g,1\na,g,1\n", "x.csv:3: id: 'a' occurs twice"),
        ("id,group,dice\n" + "a" * 200_000 + ",g,1\n", "x.csv:2: is not a CSV table: field larger than field limit"),
        ('id,group,dice\n"a,g,1\n', "x.csv:2: is not a CSV table: unexpected end of data"),
    ],
)
def test_a_table_that_is_no_evaluation_is_refused_by_name_and_line(text, message):
    with pytest.raises(InputError, match=message):
        parse_scores(text, "x.csv")


def test_names_that_a_table_escapes_are_read_as_they_were(tmp_path):
    names = ["=1+1", "+a", "-b", "@c", "'=d", "'quoted'", "plain", "-1"]
    rows = [{"id": name, "group": name, "dice": 0.5} for name in names]
    write_csv(tmp_path / "per_image.csv", rows, ["id", "group", "dice"])
    text = read_text(tmp_path / "per_image.csv")
    assert "\n'=1+1," in text
    assert parse_scores(text, "x.csv") == {name: Scored(name, 0.5) for name in names}


def test_rows_that_are_too_short_for_an_id_are_told():
    with pytest.raises(InputError, match=r"a.csv:3: id: '' occurs twice"):
        parse_scores("dice,id,group\n0.5\n0.6\n", "a.csv")
