"""Read: who has seen or changed a patient's record, as it is printed for the patient, in the patient's language."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from django.utils import dateformat
from django.utils.translation import gettext, override

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import reports, trail
from pain_clinic.audit.reports import Disclosure
from patients.models import Patient

PRINT = "patients.print_access_list"
SORTS = ("day", "who", "what")


def noop(text: str) -> str:
    """Mark a text for the translators."""
    return text


INTRO = noop("Everybody who opened, changed or printed the record, day by day. The clinic keeps this list for six years.")
# What an act is to the patient, by how its name begins; the longest beginning wins.
WORDS = {
    "patients.read": noop("Opened the record"),
    "patients.read_history": noop("Opened the medical history"),
    "patients.read_facts": noop("Opened medicines, allergies and conditions"),
    "patients.read_note": noop("Opened a note"),
    "patients.read_paper": noop("Opened a consent or another paper"),
    "patients.print_history": noop("Printed a summary of the history"),
    "patients.print_access_list": noop("Printed this list"),
    "patients.break_glass": noop("Opened the record in an emergency"),
    "patients.review_emergency": noop("Looked at an emergency opening"),
    "patients.record": noop("Wrote something down"),
    "patients.amend": noop("Changed the record"),
    "patients.mark_in_error": noop("Marked an entry as a mistake"),
    "patients.register": noop("Registered the person"),
    "scheduling.patient_messages_read": noop("Opened the list of messages"),
    "scheduling.patient_dates_read": noop("Opened the list of visits"),
    "scheduling.book": noop("Booked a visit"),
    "scheduling.move": noop("Moved a visit"),
    "scheduling.cancel": noop("Cancelled a visit"),
    "scheduling.confirm": noop("Confirmed a visit"),
    "scheduling.read": noop("Opened a visit"),
    "audit.view": noop("Looked at the list of who has seen the record"),
    "": noop("Another act with the record"),
}
KINDS = {
    "patient": noop("You, by a link in a message"),
    "system": noop("The system itself"),
    "anonymous": noop("Somebody not signed in"),
}


@dataclass(frozen=True, slots=True)
class Line:
    on: date
    day: str
    who: str
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class AccessList:
    """The whole list, and its words in the patient's language."""

    language: str
    title: str
    intro: str
    span: str
    heads: tuple[str, str, str, str]
    lines: tuple[Line, ...]
    nothing: str


def read(*, patient: Patient, first_on: date, last_on: date, by: Actor, zone: ZoneInfo, sort: str = "day") -> AccessList:
    """Return who did what with the record between two days, both included; making the list is itself a recorded act."""
    trail.record(
        by=by,
        act=PRINT,
        subject=patient,
        patient=patient.public_id,
        site_id=patient.home_site_id,
        details={"first_on": str(first_on), "last_on": str(last_on)},
    )
    found = reports.disclosures(patient=patient.public_id, first_on=first_on, last_on=last_on, zone=zone)
    with override(patient.reads):
        lines = sorted(_merged(_line(one) for one in found), key=_ORDERS.get(sort, _ORDERS["day"]))
        return AccessList(
            language=patient.reads,
            title=gettext("Who has seen this record"),
            intro=gettext(INTRO),
            span=f"{_day(first_on)} – {_day(last_on)}",
            heads=(gettext("Day"), gettext("Who"), gettext("What"), gettext("How often")),
            lines=tuple(lines),
            nothing=gettext("Nobody opened the record in this time."),
        )  # fmt: skip


_ORDERS: dict[str, Callable[[Line], tuple[object, ...]]] = {
    "day": lambda line: (-line.on.toordinal(), line.who, line.what),
    "who": lambda line: (line.who, -line.on.toordinal(), line.what),
    "what": lambda line: (line.what, -line.on.toordinal(), line.who),
}


def _line(one: Disclosure) -> Line:
    who = gettext(KINDS[one.actor_kind]) if one.actor_kind in KINDS else one.name
    begins = max((begin for begin in WORDS if one.act.startswith(begin)), key=len)
    return Line(one.on, _day(one.on), who, gettext(WORDS[begins]), one.count)


def _merged(lines: Iterable[Line]) -> list[Line]:
    """Return the lines with acts that have the same words told as one."""
    counts: dict[Line, int] = {}
    for line in lines:
        same = replace(line, count=0)
        counts[same] = counts.get(same, 0) + line.count
    return [replace(line, count=count) for line, count in counts.items()]


def _day(on: date) -> str:
    return dateformat.format(on, gettext("j F Y"))
