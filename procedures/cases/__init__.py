"""Written cases: read them, judge them by a book of rules, explain the answer, and say all that is wrong with a file."""

from procedures.cases.explaining import Explanation, Step, Unsaid, explained
from procedures.cases.judging import assess_file, findings_on, judged
from procedures.cases.parsing import CaseProblem
from procedures.cases.reading import Case, MalformedCases, read_case, read_cases
from procedures.cases.writing import as_file, can_be_written, not_on_file, written_case

__all__ = [
    "Case",
    "CaseProblem",
    "Explanation",
    "MalformedCases",
    "Step",
    "Unsaid",
    "as_file",
    "assess_file",
    "can_be_written",
    "explained",
    "findings_on",
    "judged",
    "not_on_file",
    "read_case",
    "read_cases",
    "written_case",
]
