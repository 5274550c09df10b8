"""Written cases: read them, judge them by a book of rules, and say all that is wrong with the file."""

from procedures.cases.judging import assess_file, judged
from procedures.cases.parsing import CaseProblem
from procedures.cases.reading import Case, MalformedCases, read_cases

__all__ = ["Case", "CaseProblem", "MalformedCases", "assess_file", "judged", "read_cases"]
