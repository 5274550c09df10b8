"""Appointments out of another system's file: what is to come is booked like any other, what is past becomes history."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients.models import Patient, PatientSite, folded
from patients.sheets import CellError, Problem, Sheet, SheetRow, read_date, read_time
from procedures.levels import RUNS, default_side, read_levels, validate_target
from procedures.models import Procedure
from scheduling import booking, openings
from scheduling.intervals import exists, instant
from scheduling.models import Appointment, AskedBy, CancelReason, Kind, Message, MessageState, Resource, Source, Status

T = TypeVar("T")

BATCH = 100
MARK = timedelta(minutes=5)
FIELDS = (
    "external_id",
    "patient_external_id",
    "procedure",
    "side",
    "levels",
    "starts_at",
    "starts_time",
    "site",
    "physician",
    "status",
)
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
    starts_at: datetime
    site: Site
    physician: Resource | None
    status: Status


class _Unfit(Exception):
    """A row that cannot go in: which field, and why."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(reason)
        self.field_name, self.reason = field_name, reason


@dataclass
class AppointmentImport:
    """One run over one file. Each row is its own transaction; a dry run takes its batch back.

    Patients are not written to about what is imported, unless `tells_patients`: the system it comes from told them.
    """

    site: Site
    by: Actor
    at: datetime
    tell: Callable[[Problem], None]
    date_order: str = ""
    is_dry_run: bool = False
    tells_patients: bool = False
    outcome: Outcome = field(default_factory=Outcome)
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def run(self, sheet: Sheet, progress: Callable[[Outcome], None] = lambda outcome: None) -> Outcome:
        """Take every row of the sheet in; report each that stays out."""
        self._learn_names()
        rows = sheet.rows()
        while batch := list(islice(rows, BATCH)):
            with ExitStack() as stack:
                if self.is_dry_run:
                    stack.enter_context(transaction.atomic())
                self._take(batch)
                if self.is_dry_run:
                    transaction.set_rollback(True)
            progress(self.outcome)
        return self.outcome

    def _learn_names(self) -> None:
        self._sites = {folded(word): site for site in Site.objects.active().order_by("-pk") for word in (site.slug, site.name)}
        self._physicians: dict[str, list[Resource]] = {}
        for row in Resource.objects.active().filter(kind=Kind.PHYSICIAN).select_related("user").order_by("pk"):
            words = {folded(word) for word in (row.name, row.short_name, row.user.username if row.user else "") if word}
            for word in words | {word.removeprefix("dr. ") for word in words}:
                self._physicians.setdefault(word, []).append(row)
        self._procedures: dict[str, list[Procedure]] = {}
        for procedure in Procedure.objects.order_by("pk"):
            for word in {procedure.code, procedure.name, procedure.short_name, str(procedure.public_id), *procedure.cpt_primary}:
                self._procedures.setdefault(folded(word), []).append(procedure)

    def _take(self, batch: list[SheetRow]) -> None:
        ids = {row.cells.get("external_id", "") for row in batch}
        known = {
            row.external_id: row for row in Appointment.objects.filter(external_id__in=ids).select_related("procedure", "site")
        }
        asked = {row.cells.get("patient_external_id", "") for row in batch}
        patients = {row.external_id: row for row in Patient.objects.filter(external_id__in=asked)}
        for row in batch:
            self.outcome.rows += 1
            name = row.cells.get("external_id", "")[:80]
            try:
                line = self._read(row, patients)
                if not self._is_repeated(line):
                    with transaction.atomic():
                        self._take_one(line, known.get(line.external_id))
            except _Unfit as error:
                self._refuse(row.line, error.field_name, error.reason, name)
            except DomainError as error:
                self._refuse(row.line, "row", _said(error), name)

    # --- reading ---------------------------------------------------------------------------------------------------------
    def _read(self, row: SheetRow, patients: dict[str | None, Patient]) -> Line:
        if row.problem:
            raise _Unfit("row", row.problem)
        cells = row.cells
        for name in REQUIRED:
            if not cells.get(name):
                raise _Unfit(name, "is missing")
        if len(cells["external_id"]) > 80 or not cells["external_id"].isprintable():
            raise _Unfit("external_id", "is too long or cannot be printed")
        patient = patients.get(cells["patient_external_id"])
        if patient is None:
            raise _Unfit("patient_external_id", "is nobody on file; import the patients first")
        procedure = _only(self._procedures.get(folded(cells["procedure"]), []), "procedure")
        site = self._site(cells.get("site", ""))
        starts_at = self._starts_at(cells, ZoneInfo(site.time_zone))
        status = self._status(cells.get("status", ""))
        is_past = starts_at < self.at
        physician = None
        if cells.get("physician"):
            try:
                physician = _only(self._physicians.get(folded(cells["physician"]), []), "physician")
            except _Unfit as error:
                if not is_past:
                    raise
                self._note(row, "physician", error.reason)
        side, levels = self._target(row, procedure, is_past=is_past)
        return Line(row.line, cells["external_id"], patient, procedure, side, levels, starts_at, site, physician, status)

    def _site(self, cell: str) -> Site:
        if not cell:
            return self.site
        if folded(cell) not in self._sites:
            raise _Unfit("site", "is not a site of this clinic")
        return self._sites[folded(cell)]

    def _starts_at(self, cells: Mapping[str, str], zone: ZoneInfo) -> datetime:
        try:
            moment = read_moment(cells["starts_at"], cells.get("starts_time", ""), zone, self.date_order)
        except CellError as error:
            raise _Unfit("starts_at", str(error)) from error
        midnight = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        return midnight + (moment - midnight) // MARK * MARK

    def _status(self, cell: str) -> Status:
        word = " ".join(cell.casefold().replace("-", " ").split())
        for status, words in STATUSES.items():
            if word in words:
                return status
        raise _Unfit("status", "is not a status known here; give it a meaning with --map FILE")

    def _target(self, row: SheetRow, procedure: Procedure, *, is_past: bool) -> tuple[str, tuple[str, ...]]:
        word = folded(row.cells.get("side", ""))
        side = next((name for name, words in SIDES.items() if word and word in words), "")
        if not side or (side == "midline" and side not in procedure.laterality):
            side = default_side(procedure)
        try:
            levels = read_levels(row.cells.get("levels", ""), runs=procedure.level_scheme in RUNS)
        except ValueError as error:
            if not is_past:
                raise _Unfit("levels", "is not a level such as L4-L5") from error
            self._note(row, "levels", "is not a level such as L4-L5")
            levels = ()
        if is_past:
            if word and not side:
                self._note(row, "side", "is not left, right, bilateral or midline")
            return side, levels
        wrong = [finding for finding in validate_target(procedure, side, levels) if finding.code != "procedure_not_offered"]
        if wrong:
            raise _Unfit("side" if "side" in wrong[0].code else "levels", wrong[0].message)
        return side, levels

    def _is_repeated(self, line: Line) -> bool:
        said = hash((line.patient.pk, line.procedure.pk, line.side, line.levels, line.starts_at, line.site.pk, line.status))
        first, before = self._seen.setdefault(line.external_id, (line.line, said))
        if first == line.line:
            return False
        if before != said:
            raise _Unfit("external_id", f"is the one of line {first}, which says something else")
        self.outcome.repeated += 1
        return True

    # --- writing ---------------------------------------------------------------------------------------------------------
    def _take_one(self, line: Line, known: Appointment | None) -> None:
        if known is not None and known.patient_id != line.patient.pk:
            raise _Unfit("patient_external_id", "is not the patient this appointment was imported for")
        is_past = line.starts_at < self.at
        if known is None and (is_past or line.status == Status.CANCELLED):
            self._to_history(line)
        elif known is None:
            self._book(line)
        elif known.is_history:
            self._amend_history(line, known)
        elif is_past or known.starts_at < self.at:
            self.outcome.same += 1  # what happened since is on file here, not there
        else:
            self._follow(line, known)

    def _to_history(self, line: Line) -> None:
        appointment = Appointment(
            external_id=line.external_id,
            patient=line.patient,
            is_history=True,
            source=Source.IMPORT,
            created_at=self.at,
            created_by_id=self.by.user_id,
        )
        _tell_history(appointment, line)
        appointment.save(force_insert=True)
        PatientSite.objects.get_or_create(
            patient=line.patient, site=line.site, because=PatientSite.Because.APPOINTMENT, defaults={"since": self.at}
        )
        self._record("scheduling.import_history", appointment)
        self.outcome.history += 1

    def _amend_history(self, line: Line, known: Appointment) -> None:
        before = _facts(known)
        _tell_history(known, line)
        if _facts(known) == before:
            self.outcome.same += 1
            return
        known.version += 1
        known.save()
        self._record("scheduling.import_history", known)
        self.outcome.changed += 1

    def _book(self, line: Line) -> None:
        if line.status not in MAY_COME:
            raise _Unfit("status", "speaks of the past, the start is to come")
        appointment = booking.book(
            patient=line.patient,
            procedure=line.procedure,
            target=booking.Target(side=line.side, levels=line.levels, sedation=line.procedure.planned_sedation),
            opening=self._opening(line, None),
            by=self.by,
            at=self.at,
            source=Source.IMPORT,
            external_id=line.external_id,
        )
        if line.status == Status.CONFIRMED:
            booking.confirm(appointment=appointment, by=self.by, at=self.at)
        self._keep_quiet(appointment)
        self.outcome.booked += 1

    def _follow(self, line: Line, known: Appointment) -> None:
        """Bring a case that is still to come to what the file says now."""
        if line.status == Status.CANCELLED:
            if not known.is_standing:
                self.outcome.same += 1
                return
            booking.cancel(
                appointment=known, reason=CancelReason.OTHER, asked_by=AskedBy.CLINIC, by=self.by, at=self.at, note="Import"
            )
            self._keep_quiet(known)
            self.outcome.changed += 1
            return
        if not known.is_standing:
            raise _Unfit("status", "this case was cancelled here; reinstate it by hand if it is to stand")
        if (known.procedure_id, known.side, tuple(known.levels)) != (line.procedure.pk, line.side, line.levels):
            raise _Unfit("procedure", "procedure, side or levels differ from the case booked here; change it by hand")
        is_changed = False
        if (known.starts_at, known.site_id) != (line.starts_at, line.site.pk) or not self._is_with(known, line.physician):
            known = booking.reschedule(
                appointment=known, opening=self._opening(line, known), by=self.by, at=self.at, reason="import"
            )
            is_changed = True
        if line.status == Status.CONFIRMED and known.status == Status.BOOKED:
            known = booking.confirm(appointment=known, by=self.by, at=self.at)
            is_changed = True
        if is_changed:
            self._keep_quiet(known)
            self.outcome.changed += 1
        else:
            self.outcome.same += 1

    def _opening(self, line: Line, moving: Appointment | None) -> openings.Opening:
        fit = openings.fit(
            procedure=line.procedure,
            starts_at=line.starts_at,
            site=line.site,
            at=self.at,
            units=[line.physician.pk] if line.physician else None,
            patient=line.patient,
            moving=moving,
        )
        if fit.opening is None:
            raise _Unfit("starts_at", " ".join(finding.message for finding in fit.findings) or "This time is not free.")
        return fit.opening

    @staticmethod
    def _is_with(known: Appointment, physician: Resource | None) -> bool:
        return physician is None or known.allocations.filter(resource=physician, released_at=None).exists()

    def _keep_quiet(self, appointment: Appointment) -> None:
        if not self.tells_patients:
            waiting = Message.objects.filter(appointment=appointment, state=MessageState.DUE)
            waiting.update(state=MessageState.WITHDRAWN, reason="imported", done_at=self.at)

    def _record(self, act: str, appointment: Appointment) -> None:
        trail.record(by=self.by, act=act, subject=appointment, patient=appointment.patient.public_id, site_id=appointment.site_id)

    def _note(self, row: SheetRow, field_name: str, reason: str) -> None:
        self.outcome.notes += 1
        self.tell(Problem(row.line, field_name, reason, is_refused=False, external_id=row.cells.get("external_id", "")[:80]))

    def _refuse(self, line: int, field_name: str, reason: str, external_id: str) -> None:
        self.outcome.refused += 1
        self.tell(Problem(line, field_name, reason, external_id=external_id))


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


def _tell_history(appointment: Appointment, line: Line) -> None:
    """Write what a row says on an appointment of the past; lengths are the catalogue's, rounded outward."""
    procedure = line.procedure
    wall = line.starts_at.astimezone(ZoneInfo(line.site.time_zone))
    appointment.procedure, appointment.site = procedure, line.site
    appointment.side, appointment.levels, appointment.status = line.side, list(line.levels), line.status
    appointment.starts_at = line.starts_at
    appointment.arrives_at = line.starts_at - timedelta(minutes=procedure.prep_minutes)
    appointment.ends_at = line.starts_at + timedelta(minutes=procedure.room_minutes)
    appointment.leaves_at = appointment.ends_at + timedelta(minutes=procedure.recovery_minutes)
    appointment.local_date, appointment.local_time, appointment.zone = wall.date(), wall.time(), line.site.time_zone
    is_cancelled = line.status == Status.CANCELLED
    appointment.cancel_reason = CancelReason.OTHER if is_cancelled else ""
    appointment.asked_by = AskedBy.PATIENT if is_cancelled else ""
    appointment.cancelled_at = line.starts_at if is_cancelled else None


def _facts(appointment: Appointment) -> tuple[object, ...]:
    return (
        appointment.procedure_id,
        appointment.site_id,
        appointment.side,
        tuple(appointment.levels),
        str(appointment.status),
        appointment.starts_at,
    )


def _only(found: list[T], field_name: str) -> T:
    if not found:
        raise _Unfit(field_name, f"is no {field_name} known here; give it a meaning with --map FILE")
    if len(found) > 1:
        raise _Unfit(field_name, f"fits {len(found)} entries; name one of them, or give it a meaning with --map FILE")
    return found[0]


def _said(error: DomainError) -> str:
    """Return a refusal in words, its findings too."""
    findings = getattr(error, "standing", None) or getattr(error, "findings", ())
    return " ".join(finding.message for finding in findings) or error.message
