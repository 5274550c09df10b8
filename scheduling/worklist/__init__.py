"""What the desk sees of courses: whom to book by when, who waits for what, and one course as a line."""

from scheduling.worklist.bulk import result_rows, tried_rows
from scheduling.worklist.course import course_page, of_patient, problem_told
from scheduling.worklist.listing import BOOKABLE, TABS, bookable, listed, queues, worklist
from scheduling.worklist.rows import rows_of, tone_of
from scheduling.worklist.shapes import BulkRow, CourseLine, CourseShown, Offered, Row, Worklist

__all__ = [
    "BOOKABLE",
    "TABS",
    "BulkRow",
    "CourseLine",
    "CourseShown",
    "Offered",
    "Row",
    "Worklist",
    "bookable",
    "course_page",
    "listed",
    "of_patient",
    "problem_told",
    "queues",
    "result_rows",
    "rows_of",
    "tone_of",
    "tried_rows",
    "worklist",
]
