"""Every written case of `tests/data/cases` is judged as its author expects: both sides of each rule's edge."""

from __future__ import annotations

import pytest

from procedures import tables
from procedures.cases import Case
from tests import written_cases

BOOK = tables.book_of_files()
CASES = [(file.stem, case) for file in written_cases.FILES for case in written_cases.all_cases(BOOK, file)]


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[f"{name}:{case.id}" for name, case in CASES])
def test_case_is_judged_as_its_author_expects(case: Case) -> None:
    assert written_cases.complaints(case, BOOK) == []
    assert case.title


def test_the_worked_examples_are_all_here() -> None:
    assert sum(name == "examples" for name, _ in CASES) == 24
