"""One run over a file of appointments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import DomainError
from patients.models import Patient, PatientSite, folded
from patients.sheets import CellError, Problem, Sheet, SheetRow
from procedures.levels import RUNS, default_side, read_levels, read_regions, validate_target
from procedures.models import Procedure
from scheduling import booking, desk_tasks, openings
from scheduling.availability import Opening
from scheduling.importing.rows import facts_of, in_words, only_one, tell_history
from scheduling.importing.words import GUIDANCES, MARK, MAY_COME, REQUIRED, SIDES, STATUSES, Line, Outcome, Unfit, read_moment
from scheduling.models import (
    TOLD_AT_ONCE,
    Appointment,
    AskedBy,
    CancelReason,
    Kind,
    Message,
    MessageState,
    Resource,
    Source,
    Status,
    TaskKind,
)

BATCH = 100
FIELD_OF = {"side": "side", "level": "levels", "region": "regions", "guidance": "guidance"}  # by a finding's first word


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
            except Unfit as error:
                self._refuse(row.line, error.field_name, error.reason, name)
            except DomainError as error:
                self._refuse(row.line, "row", in_words(error), name)

    # --- reading ---------------------------------------------------------------------------------------------------------
    def _read(self, row: SheetRow, patients: dict[str | None, Patient]) -> Line:
        if row.problem:
            raise Unfit("row", row.problem)
        cells = row.cells
        for name in REQUIRED:
            if not cells.get(name):
                raise Unfit(name, "is missing")
        if len(cells["external_id"]) > 80 or not cells["external_id"].isprintable():
            raise Unfit("external_id", "is too long or cannot be printed")
        patient = patients.get(cells["patient_external_id"])
        if patient is None:
            raise Unfit("patient_external_id", "is nobody on file; import the patients first")
        procedure = only_one(self._procedures.get(folded(cells["procedure"]), []), "procedure")
        site = self._site(cells.get("site", ""))
        starts_at = self._starts_at(cells, ZoneInfo(site.time_zone))
        status = self._status(cells.get("status", ""))
        is_past = starts_at < self.at
        physician = None
        if cells.get("physician"):
            try:
                physician = only_one(self._physicians.get(folded(cells["physician"]), []), "physician")
            except Unfit as error:
                if not is_past:
                    raise
                self._note(row, "physician", error.reason)
        target = self._target(row, procedure, is_past=is_past)
        return Line(row.line, cells["external_id"], patient, procedure, *target, starts_at, site, physician, status)

    def _site(self, cell: str) -> Site:
        if not cell:
            return self.site
        if folded(cell) not in self._sites:
            raise Unfit("site", "is not a site of this clinic")
        return self._sites[folded(cell)]

    def _starts_at(self, cells: Mapping[str, str], zone: ZoneInfo) -> datetime:
        try:
            moment = read_moment(cells["starts_at"], cells.get("starts_time", ""), zone, self.date_order)
        except CellError as error:
            raise Unfit("starts_at", str(error)) from error
        midnight = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        return midnight + (moment - midnight) // MARK * MARK

    def _status(self, cell: str) -> Status:
        word = " ".join(cell.casefold().replace("-", " ").split())
        for status, words in STATUSES.items():
            if word in words:
                return status
        raise Unfit("status", "is not a status known here; give it a meaning with --map FILE")

    def _target(self, row: SheetRow, procedure: Procedure, *, is_past: bool) -> tuple[str, tuple[str, ...], tuple[str, ...], str]:
        word = folded(row.cells.get("side", ""))
        side = next((name for name, words in SIDES.items() if word and word in words), "")
        if not side or (side == "midline" and side not in procedure.laterality):
            side = default_side(procedure)
        try:
            levels = read_levels(row.cells.get("levels", ""), runs=procedure.level_scheme in RUNS)
        except ValueError as error:
            if not is_past:
                raise Unfit("levels", "is not a level such as L4-L5") from error
            self._note(row, "levels", "is not a level such as L4-L5")
            levels = ()
        regions, guidance = self._region_and_guidance(row, is_past=is_past)
        if is_past:
            if word and not side:
                self._note(row, "side", "is not left, right, bilateral or midline")
            return side, levels, regions, guidance
        found = validate_target(procedure, side, levels, regions, guidance)
        wrong = [finding for finding in found if finding.code != "procedure_not_offered"]
        if wrong:
            raise Unfit(FIELD_OF[wrong[0].code.partition("_")[0]], wrong[0].message)
        return side, levels, regions, guidance

    def _region_and_guidance(self, row: SheetRow, *, is_past: bool) -> tuple[tuple[str, ...], str]:
        """Read where on the body and under what, where the file says it; of the past what cannot be read is left out."""
        typed = folded(row.cells.get("guidance", ""))
        guidance = next((name for name, words in GUIDANCES.items() if typed in words), "")
        try:
            regions = read_regions(row.cells.get("regions", ""))
        except ValueError as error:
            if not is_past:
                raise Unfit("regions", "is not a region such as knee or low back") from error
            self._note(row, "regions", "is not a region such as knee or low back")
            regions = ()
        if typed and not guidance:
            if not is_past:
                raise Unfit("guidance", "is not fluoroscopy, CT, ultrasound or none")
            self._note(row, "guidance", "is not fluoroscopy, CT, ultrasound or none")
        return regions, guidance

    def _is_repeated(self, line: Line) -> bool:
        target = (line.side, line.levels, line.regions, line.guidance)
        said = hash((line.patient.pk, line.procedure.pk, target, line.starts_at, line.site.pk, line.status))
        first, before = self._seen.setdefault(line.external_id, (line.line, said))
        if first == line.line:
            return False
        if before != said:
            raise Unfit("external_id", f"is the one of line {first}, which says something else")
        self.outcome.repeated += 1
        return True

    # --- writing ---------------------------------------------------------------------------------------------------------
    def _take_one(self, line: Line, known: Appointment | None) -> None:
        if known is not None and known.patient_id != line.patient.pk:
            raise Unfit("patient_external_id", "is not the patient this appointment was imported for")
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
        tell_history(appointment, line)
        appointment.save(force_insert=True)
        PatientSite.objects.get_or_create(
            patient=line.patient, site=line.site, because=PatientSite.Because.APPOINTMENT, defaults={"since": self.at}
        )
        self._record("scheduling.import_history", appointment)
        self.outcome.history += 1

    def _amend_history(self, line: Line, known: Appointment) -> None:
        before = facts_of(known)
        tell_history(known, line)
        if facts_of(known) == before:
            self.outcome.same += 1
            return
        known.version += 1
        known.save()
        self._record("scheduling.import_history", known)
        self.outcome.changed += 1

    def _book(self, line: Line) -> None:
        if line.status not in MAY_COME:
            raise Unfit("status", "speaks of the past, the start is to come")
        appointment = booking.book(
            patient=line.patient,
            procedure=line.procedure,
            target=booking.Target(
                side=line.side,
                levels=line.levels,
                sedation=line.procedure.planned_sedation,
                guidance=line.guidance,
                regions=line.regions,
            ),
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
            raise Unfit("status", "this case was cancelled here; reinstate it by hand if it is to stand")
        here = (known.procedure_id, known.side, tuple(known.levels), tuple(known.regions), known.guidance)
        there = (line.procedure.pk, line.side, line.levels, line.regions or here[3], line.guidance or here[4])
        if here != there:
            raise Unfit(
                "procedure", "procedure, side or levels differ from the case booked here, or how it is done: change it here"
            )
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

    def _opening(self, line: Line, moving: Appointment | None) -> Opening:
        fit = openings.fit(
            procedure=line.procedure,
            starts_at=line.starts_at,
            site=line.site,
            at=self.at,
            units=[line.physician.pk] if line.physician else None,
            patient=line.patient,
            moving=moving,
            options=openings.Options(
                sedation=line.procedure.planned_sedation, guidance=line.guidance or (moving.guidance if moving else "")
            ),
        )
        if fit.opening is None:
            raise Unfit("starts_at", " ".join(finding.message for finding in fit.findings) or "This time is not free.")
        if line.physician is not None and line.physician.pk not in {pk for pks in fit.opening.units.values() for pk in pks}:
            raise Unfit("physician", f"does not hold the privilege for {line.procedure.name}")  # never somebody else unasked
        return fit.opening

    @staticmethod
    def _is_with(known: Appointment, physician: Resource | None) -> bool:
        return physician is None or known.allocations.filter(resource=physician, released_at=None).exists()

    def _keep_quiet(self, appointment: Appointment) -> None:
        if not self.tells_patients:
            is_new = Q(state=MessageState.DUE) | Q(state=MessageState.SKIPPED, created_at=self.at)
            Message.objects.filter(is_new, appointment=appointment, kind__in=TOLD_AT_ONCE).update(
                state=MessageState.WITHDRAWN, reason="imported", done_at=self.at
            )
            desk_tasks.settle(kind=TaskKind.NO_EMAIL, appointment=appointment, by=self.by, at=self.at)

    def _record(self, act: str, appointment: Appointment) -> None:
        trail.record(by=self.by, act=act, subject=appointment, patient=appointment.patient.public_id, site_id=appointment.site_id)

    def _note(self, row: SheetRow, field_name: str, reason: str) -> None:
        self.outcome.notes += 1
        self.tell(Problem(row.line, field_name, reason, is_refused=False, external_id=row.cells.get("external_id", "")[:80]))

    def _refuse(self, line: int, field_name: str, reason: str, external_id: str) -> None:
        self.outcome.refused += 1
        self.tell(Problem(line, field_name, reason, external_id=external_id))
