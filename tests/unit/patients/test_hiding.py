"""Small groups are hidden so that no sum gives them back."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from patients.hiding import LEAST, hide, is_small

GROUPS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=2), st.integers(0, 60), max_size=12)


def small(counts: dict[str, int]) -> set[str]:
    return {name for name, count in counts.items() if 0 < count < LEAST}


def test_a_group_of_ten_is_hidden_and_one_of_eleven_is_not() -> None:
    assert is_small([10])
    assert not is_small([11])
    assert not is_small([0])


def test_a_longer_window_is_hidden_when_it_gives_a_small_one_away() -> None:
    assert is_small([30, 40])  # ten more
    assert not is_small([30, 41])
    assert not is_small([30, 30])
    assert not is_small([5, 11])  # the shorter one is hidden: no difference can be taken
    assert not is_small([12, 20, 25])  # 20 is hidden; 25 is thirteen more than 12
    assert is_small([12, 23, 30])


def test_one_small_group_takes_the_next_smallest_with_it() -> None:
    counts = {"a": 4, "b": 40, "c": 15}

    assert hide(counts, [counts], {"a"}) == {"a", "c"}


def test_two_that_are_small_together_take_a_third() -> None:
    counts = {"a": 4, "b": 40, "c": 5, "d": 90}

    assert hide(counts, [counts], {"a", "c"}) == {"a", "b", "c"}


def test_small_groups_that_are_large_together_need_no_other() -> None:
    counts = {"a": 6, "b": 40, "c": 5}

    assert hide(counts, [counts], {"a", "c"}) == {"a", "c"}


def test_nothing_is_hidden_where_nothing_is_small_and_empty_groups_protect_nothing() -> None:
    assert hide({"a": 11, "b": 12}, [["a", "b"]], ()) == frozenset()
    assert hide({"a": 3, "b": 0, "c": 20}, [["a", "b", "c"]], {"a"}) == {"a", "c"}


def test_a_cell_is_protected_along_its_row_and_its_column() -> None:
    counts = {("x", 1): 3, ("x", 2): 30, ("x", 3): 40, ("y", 1): 50, ("y", 2): 60, ("y", 3): 70}
    rows = [[(name, each) for each in (1, 2, 3)] for name in "xy"]
    columns = [[("x", each), ("y", each)] for each in (1, 2, 3)]

    hidden = hide(counts, [*rows, *columns], {("x", 1)})

    for line in [*rows, *columns]:
        gone = [cell for cell in line if cell in hidden]
        assert len(gone) != 1
        assert not gone or sum(counts[cell] for cell in gone) >= LEAST


@given(GROUPS)
def test_no_sum_of_what_is_shown_gives_a_small_group_back(counts: dict[str, int]) -> None:
    hidden = hide(counts, [counts], small(counts))

    assert small(counts) <= hidden
    gone = [counts[name] for name in hidden if counts[name]]
    shown = [name for name in counts if name not in hidden and counts[name]]
    # All that an onlooker can compute is the sum of what is hidden: it is no small group, unless all there is is small.
    assert not gone or (len(gone) > 1 and sum(gone) >= LEAST) or not shown


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5).map(lambda each: [sum(each[: n + 1]) for n in range(len(each))]))
def test_no_difference_of_two_shown_windows_is_small(nested: list[int]) -> None:
    shown = [count for place, count in enumerate(nested) if not is_small(nested[: place + 1])]

    assert all(count == 0 or count >= LEAST for count in shown)
    assert all(longer == shorter or longer - shorter >= LEAST for shorter, longer in combinations(shown, 2))
