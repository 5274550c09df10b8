"""The tabs of the worklist: whom to book by when, who waits for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.paginator import Paginator
from django.db.models import Case, Count, DateField, F, Func, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from scheduling.agenda import words
from scheduling.agenda.shapes import Pair, Tab
from scheduling.bulk import MOST_ROWS
from scheduling.courses import rolling
from scheduling.models import CallOutcome, CourseStatus, PlannedSession, PlanState
from scheduling.worklist.rows import joined, rows_of
from scheduling.worklist.shapes import Worklist

if TYPE_CHECKING:
    from pain_clinic.accounts.models import User

PER_PAGE = 25
BOOKABLE = ("book", "overdue", "ending", "later")
SOON = timedelta(days=14)
ENDING = timedelta(days=30)
LOOKED_BACK = timedelta(days=60)
TABS = {
    "book": "To book",
    "overdue": "Overdue",
    "waiting": "Waiting",
    "ending": "Authorisation ends",
    "later": "Later",
    "off": "Put off",
    "stopped": "Stopped",
}
EMPTY = {
    "book": "Nothing has to be booked. Courses appear here when their window opens.",
    "overdue": "No window has passed unused.",
    "waiting": "No course waits for anything.",
    "ending": "No authorisation of an unbooked session ends within a month.",
    "later": "No window opens later.",
    "off": "Nothing is put off.",
    "stopped": "No course has stopped by itself lately.",
}


def queues(today: date) -> Mapping[str, Q]:
    """Return what makes a planned session belong to each tab; what is put off is in its own only."""
    lately = datetime.combine(today - LOOKED_BACK, time(), tzinfo=UTC)
    on = Q(course__snoozed_until=None) | Q(course__snoozed_until__lte=today)
    to_book = on & Q(state=PlanState.PROPOSED, appointment=None, course__status=CourseStatus.ACTIVE)
    return {
        "book": to_book & Q(opens_on__lte=today + SOON, closes_on__gte=today),
        "overdue": to_book & Q(closes_on__lt=today),
        "waiting": on & Q(state=PlanState.WAITING, course__is_parked=False),
        "ending": to_book & Q(authorised_until__gte=today, authorised_until__lte=today + ENDING),
        "later": to_book & Q(opens_on__gt=today + SOON),
        "off": Q(course__snoozed_until__gt=today, course__status=CourseStatus.ACTIVE),
        "stopped": Q(course__is_parked=True)
        | Q(state=PlanState.STOPPED, course__is_stopped_by_hand=False, planned_at__gte=lately),
    }


def listed(*, user: User, today: date, tab: str) -> QuerySet[PlannedSession]:
    """Return what is in one tab for the sites of this user, the most pressing first."""
    return _pressing(_mine(user, today).filter(queues(today)[tab]))


def _mine(user: User, today: date) -> QuerySet[PlannedSession]:
    """Return what is planned at the sites of this user, with the window as of today."""
    mine = PlannedSession.objects.filter(is_current=True, course__site__in=user.sites.all())
    return mine.annotate(opens_on=_rolled("earliest", today), closes_on=_rolled("latest", today))


def _pressing(rows: QuerySet[PlannedSession]) -> QuerySet[PlannedSession]:
    return rows.order_by(F("closes_on").asc(nulls_last=True), F("due_on").asc(nulls_last=True), "pk")


def worklist(*, user: User, by: Actor, at: datetime, zone: ZoneInfo, tab: str, number: str) -> Worklist:
    """Return one tab of the worklist of this user's sites, the most pressing first."""
    today = at.astimezone(zone).date()
    mine = _mine(user, today)
    found = queues(today)
    counts = mine.aggregate(**{name: Count("pk", filter=part) for name, part in found.items()})
    shown = tab if tab in TABS else "book"
    rows = _pressing(joined(mine.filter(found[shown])))
    page = Paginator(rows, PER_PAGE).get_page(number)
    url = reverse("scheduling:worklist")
    return Worklist(
        title="Worklist",
        tabs=tuple(
            Tab(f"{label} ({counts[name]})", f"{url}?tab={name}", name == shown)
            for name, label in TABS.items()
            if counts[name] or name in ("book", "waiting", shown)
        ),
        rows=rows_of(list(page.object_list), by=by, today=today),
        page=words.paged(page, url, tab=shown),
        empty=EMPTY[shown],
        outcomes=tuple(Pair(value, str(label)) for value, label in CallOutcome.choices),
        tomorrow=(today + timedelta(days=1)).isoformat(),
        may_work=by.may("scheduling.work_course"),
        may_book=by.may("scheduling.work_course") and by.may("scheduling.book_appointment"),
        tab=shown,
        bulk_url=reverse("scheduling:bulk_try") if shown in BOOKABLE and page.object_list else "",
    )


def bookable(*, user: User, at: datetime, zone: ZoneInfo, tab: str, only: Sequence[UUID] = ()) -> list[PlannedSession]:
    """Return rows of a tab that could be booked together, the most pressing first: those named, or as many as go at once."""
    today = at.astimezone(zone).date()
    mine = _mine(user, today)
    rows = mine.filter(public_id__in=only) if only else mine.filter(queues(today)[tab if tab in BOOKABLE else "book"])
    return [rolling.shown(row, today) for row in _pressing(joined(rows))[:MOST_ROWS]]


def _rolled(name: str, today: date) -> Combinable:
    """Return a date column as of today: those that a lead time holds move on with the days."""
    passed = Func(F(name), F("rolls_from"), function="", template="(%(expressions)s)", arg_joiner=" - ")
    moved = Func(passed, Value(today), function="", template="(%(expressions)s)", arg_joiner=" + ")
    return Case(When(rolls__contains=[name], then=moved), default=F(name), output_field=DateField())
