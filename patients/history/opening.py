"""Open the history of a patient: read everything once, put the page together, and record that it was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from dateutil.relativedelta import relativedelta
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit import trail
from patients import pages, recorded, records
from patients.history import beyond, charts, standing, targets, timeline
from patients.history.beyond import Beyond
from patients.history.reading import Done, Rows, Scored, read
from patients.history.shapes import FILTERS, SPANS, USUAL_SPAN, Act, Asked, HistoryPage, Pair, Relief, Tab, Timeline
from patients.history.targets import Place
from patients.models import Patient

READ, PRINT = "patients.read_history", "patients.print_history"
NO_ROW = UUID(int=0)
BACK = {"6m": relativedelta(months=6), "1y": relativedelta(years=1), "2y": relativedelta(years=2), "5y": relativedelta(years=5)}
# Which of several answers of one scale and day stands for the pain of that day.
RANKED = {"average": 0, "index": 1, "total": 2, "now": 3, "worst": 4}
PHASES = {"before": "before a procedure", "after": "after a procedure"}


def open_history(
    *, patient: Patient, user: User, by: Actor, today: date, asked: Asked, act: str = READ
) -> HistoryPage:  # fmt: skip
    """Return the physician's page of a patient, in a fixed number of statements; opening or printing it is a recorded act."""
    trail.record(by=by, act=act, subject=patient, patient=patient.public_id, site_id=patient.home_site_id)
    rows = read(patient, today)
    above = beyond.ask(patient=patient, user=user, by=by, today=today)
    scores = rows.scores_of()
    reliefs = {one.pk: targets.relief_of(one, scores.get(one.pk, ())) for one in rows.done}
    address = reverse("patients:patient", args=[patient.public_id])
    age = pages.age_on(patient.birth_date, patient.deceased_on or today)
    opioids, factors = standing.opioids(rows.medicines), recorded.mme_factors()
    mme, mme_is_high = standing.mme_words(opioids, factors, today)
    taken, past = standing.medicines(rows.medicines, today)
    return HistoryPage(
        title=f"{patient.first_name} {patient.last_name}, {patient.birth_date.year}",
        name=f"{patient.first_name} {patient.last_name}",
        born=patient.birth_date,
        age=age,
        sex=pages.SEXES.get(patient.sex, patient.sex),
        record_number=patient.record_number,
        same_name=records.same_names([patient], user=user).get(patient.pk, ""),
        died_on=patient.deceased_on,
        speaks=patient.speaks if patient.language != "en" else "",
        acts=_acts(patient, by),
        chips=standing.chips(rows, patient, today, age),
        map=targets.map_of(
            rows.done, reliefs, chosen=_chosen(asked), url=_with(address, asked, place="", side=""),
            clear_url=_url(address, asked, place="", side=""),
        ),
        chart=_chart(rows, scores, reliefs, today, asked),
        spans=tuple(Tab(label, _url(address, asked, span=code), code == asked.span, code) for code, label in SPANS.items()),
        as_table=Tab(
            "As a chart" if asked.is_table else "As a table", _url(address, asked, is_table=not asked.is_table), asked.is_table
        ),
        timeline=_timeline(rows, reliefs, above, asked, address, by, patient.home_site.day_at),
        ledgers=standing.ledgers(rows, today),
        medicines=taken,
        past_medicines=past,
        mme=mme,
        mme_is_high=mme_is_high,
        coverage=standing.coverage(rows.covered, patient, today),
        allowances=standing.allowances(rows.covered, today),
        beyond=above,
        papers_url=reverse("patients:papers", args=[patient.public_id]),
        access_url=reverse("patients:access", args=[patient.public_id]) if by.may("patients.print_access_list") else "",
        coverage_url=reverse("patients:cover", args=[patient.public_id]) if by.may("patients.view_coverage") else "",
        elsewhere_url=(
            reverse("patients:elsewhere_new", args=[patient.public_id]) if by.may("patients.record_performed") else ""
        ),
        person=_person(patient),
    )  # fmt: skip


def _acts(patient: Patient, by: Actor) -> tuple[Act, ...]:
    """Return what this person can do from here; nobody is booked who has died."""
    is_alive, who = patient.deceased_on is None, [patient.public_id]
    wanted = (
        (is_alive and by.may("scheduling.book_appointment"), Act("Book", pages.book_url(patient), "calendar-plus", is_main=True)),
        (by.may("patients.record_outcome"), Act("Record outcome", reverse("patients:score_new", args=who), "gauge")),
        (by.may("patients.record_clinical"), Act("Facts", reverse("patients:record", args=who), "list-checks")),
        (by.may("procedures.view_rules"), Act("Try the rules", pages.rules_url(patient), "scale")),
        (True, Act("Print", reverse("patients:summary", args=who), "printer")),
        (by.may("patients.change_patient"), Act("Change", reverse("patients:edit", args=who), "pencil")),
    )  # fmt: skip
    return tuple(act for is_allowed, act in wanted if is_allowed)


def _person(patient: Patient) -> tuple[Pair, ...]:
    told = (
        ("Telephone", pages.spoken(patient.phone)),
        ("E-mail", patient.email),
        ("E-mail about appointments", "yes" if patient.accepts_email else "not wanted"),
        ("Language", patient.speaks),
        ("Home site", patient.home_site.name),
        ("Number elsewhere", patient.external_id or ""),
    )
    return tuple(Pair(label, value) for label, value in told if value)


def _chosen(asked: Asked) -> Place | None:
    return Place(asked.place, asked.side) if asked.place else None


def _query(asked: Asked, **changes: Any) -> dict[str, str]:
    """Return the address's questions with some of them changed; what is usual is not said. A change begins at page 1."""
    wanted = {"what": asked.what, "place": asked.place, "side": asked.side, "span": asked.span, "is_table": asked.is_table}
    wanted |= {"page": 1, **changes}
    told = {
        "what": wanted["what"],
        "at": wanted["place"],
        "side": wanted["side"],
        "span": "" if wanted["span"] == USUAL_SPAN else wanted["span"],
        "as": "table" if wanted["is_table"] else "",
        "page": "" if wanted["page"] == 1 else str(wanted["page"]),
    }
    return {name: str(value) for name, value in told.items() if value}


def _url(address: str, asked: Asked, **changes: Any) -> str:
    query = urlencode(_query(asked, **changes))
    return f"{address}?{query}" if query else address


def _with(address: str, asked: Asked, **changes: Any) -> str:
    """Return an address to which more can be added."""
    query = urlencode(_query(asked, **changes))
    return f"{address}?{query}&" if query else f"{address}?"


def _timeline(
    rows: Rows, reliefs: Mapping[int, Relief], above: Beyond, asked: Asked, address: str, by: Actor,
    day_at: Callable[[datetime], date],
) -> Timeline:  # fmt: skip
    found = timeline.entries(
        rows, reliefs, above, what=asked.what, at=_chosen(asked), day_at=day_at, note_url=_addresses("patients:note"),
        done_url=_addresses("patients:performed") if by.may("patients.record_performed") else lambda _: "",
    )  # fmt: skip
    of = max(1, -(-len(found) // asked.per_page))
    number = min(max(asked.page, 1), of)
    begins = (number - 1) * asked.per_page
    page = {
        "number": number,
        "of": of,
        "total": len(found),
        "previous_url": _url(address, asked, page=number - 1) if number > 1 else "",
        "next_url": _url(address, asked, page=number + 1) if number < of else "",
    }
    hidden = {code for code, held in (("visits", above.visits), ("messages", above.letters)) if held is None}
    tabs = tuple(
        Tab(label, _url(address, asked, what=code), code == asked.what, code or "all")
        for code, label in FILTERS.items()
        if code not in hidden
    )
    empty = "Nothing of this kind is on record." if asked.what or asked.place else "Nothing is on record yet."
    return Timeline(tuple(found[begins : begins + asked.per_page]), tabs, page, empty)


def _addresses(name: str) -> Callable[[UUID], str]:
    """Return the address of any row under this name, looked up once."""
    before, _, after = reverse(name, args=[NO_ROW]).partition(str(NO_ROW))
    return lambda key: f"{before}{key}{after}"


def _chart(
    rows: Rows, scores: Mapping[int | None, Sequence[Scored]], reliefs: Mapping[int, Relief], today: date, asked: Asked
) -> charts.Chart:
    pain, function = pain_of(rows.scores), function_of(rows.scores)
    opioids = standing.steps(standing.opioids(rows.medicines), recorded.mme_factors(), today)
    first = _first_day(rows, today, asked.span)
    chosen = _chosen(asked)
    events = [_event(one, reliefs[one.pk]) for one in rows.done if chosen is None or targets.is_at(one, chosen)]
    return charts.draw(first=first, last=today, pain=pain, function=function, opioids=opioids, events=events)


def _first_day(rows: Rows, today: date, span: str) -> date:
    """Return the first day of the chart: as long ago as asked, but not before anything is on record."""
    known = [rows.done[-1].done_on] if rows.done else []
    known += [rows.scores[0].scored_on] if rows.scores else []
    begun = min(known, default=today - timedelta(days=180)) - timedelta(days=7)
    asked = today - BACK[span] if span in BACK else begun
    return min(max(asked, begun), today - timedelta(days=28))


def _event(one: Done, relief: Relief) -> charts.Event:
    return charts.Event(
        on=one.done_on,
        label=timeline.name_of(one),
        category=one.category or "",
        family=one.family or "",
        pct=relief.pct,
        held_until=one.lost_50_on or one.held_50_until,
        is_open=one.held_50_until is not None and one.lost_50_on is None,
        lasted=relief.lasted,
        tone=relief.tone,
    )


def pain_of(scores: Sequence[Scored]) -> list[charts.Reading]:
    """Return the pain of each day, that before a procedure apart from that after it; a block diary is not pain over time.

    Where a day has several answers of one scale, the average counts first, then the pain that was treated, then the rest; of
    equal ones the last. An answer on the scale of 0 to 100 is shown as a tenth.
    """
    best: dict[tuple[date, str], tuple[int, float]] = {}
    for one in scores:
        if one.measure not in ("nrs", "vas") or one.value is None or one.phase == "diary":
            continue
        key, rank = (one.scored_on, one.phase), RANKED.get(one.aspect, 5)
        if key not in best or rank <= best[key][0]:
            best[key] = (rank, float(one.value) / (10 if one.measure == "vas" else 1))
    return [charts.Reading(on, value, PHASES.get(phase, "")) for (on, phase), (_, value) in best.items()]


def function_of(scores: Sequence[Scored]) -> list[charts.Reading]:
    """Return each PEG score; of a day and phase the last."""
    found: dict[tuple[date, str], float] = {}
    for one in scores:
        if one.measure == "peg" and one.value is not None:
            found[one.scored_on, one.phase] = float(one.value)
    return [charts.Reading(on, value, PHASES.get(phase, "")) for (on, phase), value in found.items()]
