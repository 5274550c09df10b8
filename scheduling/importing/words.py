"""What a file of appointments may say, and what each word of it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pain_clinic.accounts.models import Site
from patients.models import Patient
from patients.sheets import CellError, read_date, read_time
from procedures.models import Procedure
from scheduling.intervals import exists, instant
from scheduling.models import Resource, Status

MARK = timedelta(minutes=5)
REQUIRED = ("external_id", "patient_external_id", "procedure", "starts_at")
SYNONYMS: dict[str, tuple[str, ...]] = {
    "external_id": (
        "id",
        "appointment id",
        "appt id",
        "appointment",
        "visit id",
        "encounter",
        "booking id",
        "case id",
        "termin id",
    ),
    "patient_external_id": (
        "patient id",
        "patient",
        "mrn",
        "medical record number",
        "chart",
        "chart number",
        "patient number",
        "pid",
    ),
    "procedure": (
        "procedure code",
        "code",
        "cpt",
        "service",
        "visit type",
        "appointment type",
        "type",
        "leistung",
        "procedimiento",
    ),
    "side": ("laterality", "seite", "lado"),
    "levels": ("level", "target", "spine levels", "region level", "niveles", "hohe"),
    "regions": ("region", "body region", "body part", "body site", "anatomic location", "korperregion", "region corporal"),
    "guidance": ("imaging", "modality", "image guidance", "bildgebung", "guia"),
    "starts_at": (
        "start",
        "starts",
        "start date",
        "date",
        "appointment date",
        "appt date",
        "date time",
        "datetime",
        "start time utc",
        "beginn",
        "datum",
        "fecha",
    ),
    "starts_time": ("time", "start time", "appointment time", "appt time", "uhrzeit", "hora"),
    "site": ("location", "clinic", "facility", "standort", "sede"),
    "physician": ("provider", "doctor", "resource", "clinician", "arzt", "medico"),
    "status": ("state", "appointment status", "appt status", "estado"),
}
SIDES = {
    "left": ("left", "l", "lt", "links", "izquierda", "izquierdo"),
    "right": ("right", "r", "rt", "rechts", "derecha", "derecho"),
    "bilateral": ("bilateral", "b", "bl", "both", "bilat", "50", "beidseitig", "both sides"),
    "midline": ("midline", "m", "central", "na", "n/a", "none"),
}
GUIDANCES = {
    "fluoroscopy": ("fluoroscopy", "fluoro", "fl", "c-arm", "c arm", "x-ray", "xray"),
    "ct": ("ct", "computed tomography", "cat scan"),
    "ultrasound": ("ultrasound", "us", "sono", "sonography", "usg"),
    "none": ("none", "blind", "landmark", "no imaging"),
}
STATUSES = {
    Status.BOOKED: ("", "booked", "scheduled", "pending", "active", "new", "planned", "open", "proposed"),
    Status.CONFIRMED: ("confirmed", "accepted"),
    Status.DISCHARGED: (
        "discharged",
        "completed",
        "complete",
        "done",
        "fulfilled",
        "finished",
        "checked out",
        "seen",
        "performed",
        "arrived",
        "closed",
    ),
    Status.CANCELLED: (
        "cancelled",
        "canceled",
        "deleted",
        "cancelled by patient",
        "cancelled by clinic",
        "void",
        "abgesagt",
        "cancelada",
    ),
    Status.NO_SHOW: ("no show", "noshow", "no_show", "missed", "dna", "did not attend", "nicht erschienen"),
    Status.LEFT_BEFORE_SEEN: ("left before seen", "left_before_seen", "lwbs", "left without being seen", "walked out"),
}
MAY_COME = (Status.BOOKED, Status.CONFIRMED, Status.CANCELLED)


@dataclass
class Outcome:
    """What became of the rows so far."""

    rows: int = 0
    booked: int = 0
    history: int = 0
    changed: int = 0
    same: int = 0
    repeated: int = 0
    refused: int = 0
    notes: int = 0

    def summary(self) -> str:
        return (
            f"{self.rows} rows: {self.booked} booked, {self.history} to history, {self.changed} changed, {self.same} unchanged, "
            f"{self.repeated} repeated, {self.refused} refused; {self.notes} fields left out"
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One readable row. `starts_at` is already rounded outward to a mark of 5 minutes."""

    line: int
    external_id: str
    patient: Patient
    procedure: Procedure
    side: str
    levels: tuple[str, ...]
    regions: tuple[str, ...]  # empty: the file does not say
    guidance: str  # empty: the file does not say
    starts_at: datetime
    site: Site
    physician: Resource | None
    status: Status


class Unfit(Exception):
    """A row that cannot go in: which field, and why."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(reason)
        self.field_name, self.reason = field_name, reason


def read_moment(cell: str, clock: str, zone: ZoneInfo, order: str = "") -> datetime:
    """Read a start: an instant with its offset, or the wall time of the site.

    Raises:
        CellError: it is none, could be two, or no clock in that zone ever shows it.
    """
    try:
        moment = datetime.fromisoformat(cell)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except ValueError:
        pass
    except OverflowError as error:
        raise CellError("there is no such day") from error
    found = re.fullmatch(r"(.*?\d{4}|\d{4}\D\d{1,2}\D\d{1,2}|\d{8})(?:T|,? +)(\d{1,2}\D?.*)", cell)
    day, wall = (found[1], found[2]) if found else (cell, clock)
    if clock and re.fullmatch(r"[0:. ]*", wall):
        wall = clock
    if not wall:
        raise CellError("the time of day is missing")
    return _instant(read_date(day, order), read_time(wall), zone)


def _instant(on: date, at: time, zone: ZoneInfo) -> datetime:
    if not 1900 <= on.year <= 2200:
        raise CellError("the year is out of range")
    if not exists(on, at, zone):
        raise CellError("clocks at this site skip this time on that day")
    return instant(on, at, zone)
