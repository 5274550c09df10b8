"""Two sites with one real object of every kind at each, so that every address of the clinic can be asked for.

Past 400 lines: one row for each address and each body of the API; a matrix is read, and added to, in one place.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pain_clinic.accounts import staff
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import ApiToken, Site, User
from patients import notes, outcomes, papers, records
from patients.models import (
    Allergy,
    Authorization,
    ClinicalNote,
    Consent,
    Coverage,
    EmergencyAccess,
    Medication,
    Paper,
    Patient,
    PerformedProcedure,
    Presentation,
    Score,
)
from procedures import yaml_files
from procedures.models import ClinicPathway, RuleRow
from procedures.tables import read
from procedures.tables.courses import STEPS
from procedures.tables.reports import RuleReport
from procedures.tables.rows import load_rules
from scheduling import booking, desk_tasks, holds, links, openings
from scheduling.letters import PASSAGES
from scheduling.models import (
    Absence,
    Appointment,
    Block,
    CadenceStep,
    CalendarFeed,
    Course,
    DeskTask,
    Hold,
    LinkPurpose,
    Message,
    PlannedSession,
    Series,
    SeriesSession,
)
from tests import factories
from tests.factories import NOW, TODAY, TOMORROW, SmallClinic, local

# What an id in an address names, by how the address begins; the longest beginning wins.
NAMED = {
    "/account/tokens/": "token",
    "/staff/": "colleague",
    "/appointments/": "case",
    "/messages/": "message",
    "/patients/": "patient",
    "/patients/emergencies/": "emergency",
    "/mailbox/": "mail",
    "/l/": "link",
    "/feeds/": "feed",
    "/hooks/mail/": "provider",
    "/notes/": "note",
    "/papers/": "paper",
    "/consents/": "consent",
    "/performed/": "performed",
    "/settings/messages/": "step",
    "/settings/wording/": "passage",
    "/tasks/": "task",
    "/worklist/": "plan",
    "/courses/": "course",
    "/series/": "series",
    "/api/v1/series/": "series",
    "/settings/sites/": "site",
    "/settings/resources/": "physician",
    "/api/v1/resources/": "physician",
    "/settings/absences/": "absence",
    "/settings/blocks/": "block",
    "/settings/procedures/": "procedure",
    "/pathways/": "pathway",
    "/api/v1/courses/": "course",
    "/api/v1/procedures/": "procedure",
    "/api/v1/patients/": "patient",
    "/api/v1/facts/": "fact",
    "/api/v1/performed/": "performed",
    "/api/v1/scores/": "score",
    "/api/v1/notes/": "note",
    "/api/v1/papers/": "paper",
    "/api/v1/holds/": "hold",
    "/api/v1/appointments/": "case",
    "/api/v1/coverage/": "cover",
    "/api/v1/tasks/": "task",
    "/rules/": "rule",
    "/api/v1/authorizations/": "authorization",
    "/api/v1/payer-papers/": "problem",
}
# These belong to the person or to the whole clinic, not to a site.
NOT_OF_A_SITE = {"token", "colleague", "mail", "link", "procedure", "feed", "provider", "passage", "rule", "pathway"}
ARGUMENT = re.compile(r"<(?:\w+:)?(?P<name>\w+)>|\(\?P<(?P<named>\w+)>(?P<pattern>[^)]*)\)")
# What the other arguments of an address are.
WORDS = {
    "language": "en", "moment": "before", "kind": "allergies", "drug": "apixaban", "on": TOMORROW.isoformat(),
}  # fmt: skip

# Each is a word that stands nowhere else, so that finding it anywhere proves whose it is.
CANARIES = {
    "last_name": "Zyxwhalen",
    "first_name": "Quilibert",
    "birth_date": date(1957, 4, 23),
    "phone": "+12025550173",
    "email": "qzcanary@mail.example",
    "external_id": "EXTCANARY77",
    "record_number": "RECCANARY88",
    "payer": "Payercanary Mutual",
}


def read_steps() -> list[dict[str, Any]]:
    """Return the rows of steps as shipped."""
    return list(yaml_files.read(STEPS)[0]["pathways"])


def forms_of(name: str, value: Any) -> tuple[str, ...]:
    """Return the ways in which a page may write a value."""
    if isinstance(value, date):
        months = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
        return (value.isoformat(), f"{value.day} {months[value.month]} {value.year}", f"{value.month}/{value.day}/{value.year}")
    if name == "phone":
        return (str(value), "(202) 555-0173", "202-555-0173", "2025550173")
    return (str(value),)


@dataclass(frozen=True)
class World:
    """A clinic's site and what stands there; `made_by` is a desk account of the site."""

    clinic: SmallClinic
    made_by: User
    patient: Patient
    case: Appointment
    message: Message
    absence: Absence
    block: Block
    colleague: User
    mail: str
    fact: Allergy
    note: ClinicalNote
    score: Score
    cover: Coverage
    authorization: Authorization
    performed: PerformedProcedure
    consent: Consent
    paper: Paper
    problem: Presentation

    @property
    def site(self) -> Site:
        return self.clinic.site

    def of(self, what: str, user: User | None) -> str:
        """Return the id of an object as addresses name it; what is personal belongs to the user who asks."""
        owner = user or self.made_by
        match what:
            case "mail":
                return self.mail
            case "link":
                address = links.issue(message=self.message, purpose=LinkPurpose.VISIT, at=NOW)
                return address.rstrip("/").rpartition("/")[2]
            case "feed":
                feed = CalendarFeed.objects.filter(user=owner, resource=self.clinic.room, revoked_at=None).first()
                return str((feed or self.feed(owner)).public_id)
            case "provider":
                return "postmark"
            case "rule":
                if not RuleRow.objects.exists():  # a book of rules is whole or not there; here it refuses nothing
                    load_rules(read(), RuleReport())
                    RuleRow.objects.filter(section="rules").update(is_enabled=False)
                return str(RuleRow.objects.get(row_id="mcr_esi_cap").public_id)
            case "pathway":
                there = ClinicPathway.objects.filter(code="esi_as_needed").first()
                if there is None:
                    row = next(one for one in read_steps() if one["id"] == "esi_as_needed")
                    there = ClinicPathway.objects.create(
                        code=row["id"], name="Epidurals", data=row, table_values=row, changed_at=NOW, reason="From the table."
                    )
                return str(there.public_id)
            case "passage":
                return min(PASSAGES)
            case "step":
                return str((CadenceStep.objects.filter(site=self.site).first() or self.step()).public_id)
            case "emergency":
                return str(self.emergency().public_id)
            case "task":
                return str(self.task(user).public_id)
            case "course":
                return str(self.course().public_id)
            case "series":
                return str(self.series().public_id)
            case "plan":
                return str(self.course().plans.get().public_id)
            case "room":
                return str(self.clinic.room.public_id)
            case "physician":
                return str(self.clinic.physician.public_id)
            case "procedure":
                return str(self.clinic.procedure.public_id)
            case "token":
                made = ApiToken.objects.filter(user=owner, revoked_at=None).first()
                made = made or staff.make_token(user=owner, label="t", by=Actor.of_user(owner), at=NOW)[0]
                return str(made.public_id)
            case "hold":
                mine = Hold.objects.filter(held_by=owner).first() or self.hold(owner)
                return str(mine.public_id)
        return str(getattr(self, what).public_id)

    def feed(self, owner: User) -> CalendarFeed:
        digest = CalendarFeed.digest_of(CalendarFeed.make_secret())
        return CalendarFeed.objects.create(user=owner, resource=self.clinic.room, digest=digest, created_at=NOW)

    def step(self) -> CadenceStep:
        """Return this site's own time for a message."""
        return CadenceStep.objects.create(code="of-the-site", kind="reminder", site=self.site, offset_days=-2, at_time="16:00")

    def task(self, user: User | None) -> DeskTask:
        """Return a task of the desk, or for those who do no other work one of the billers'."""
        is_billers = user is not None and set(user.groups.values_list("name", flat=True)) == {"biller"}
        kind, by = ("authorization" if is_billers else "missed"), Actor.of_user(self.made_by)
        found = desk_tasks.open_task(kind=kind, patient=self.patient, appointment=self.case, by=by, at=NOW)
        if is_billers:
            DeskTask.objects.filter(pk=found.pk).update(role="biller")
        return found

    def emergency(self) -> EmergencyAccess:
        """Return a record of this site opened by somebody of it, as if they worked elsewhere."""
        there = EmergencyAccess.objects.filter(patient=self.patient, reviewed_at=None).first()
        return there or EmergencyAccess.objects.create(
            patient=self.patient, user=self.colleague, reason="treating", text="Because it is urgent", opened_at=NOW,
            ends_at=NOW + timedelta(hours=1),
        )  # fmt: skip

    def course(self) -> Course:
        """Return a course of the patient, with what is planned next in it."""
        there = Course.objects.filter(patient=self.patient).first()
        if there is not None:
            return there
        made = Course.objects.create(
            patient=self.patient, site=self.site, pathway="esi_as_needed", works={"epidural": self.clinic.procedure.code},
            side="left", since=TODAY, created_at=NOW,
        )  # fmt: skip
        PlannedSession.objects.create(
            course=made, number=1, step="epidural", name="Epidural", state="proposed", procedure=self.clinic.procedure.code,
            earliest=TODAY, ideal=TODAY, latest=TODAY, planned_at=NOW,
        )  # fmt: skip
        return made

    def series(self) -> Series:
        """Return an order of several sessions of the patient."""
        there = Series.objects.filter(patient=self.patient, status="open").first()
        if there is not None:
            return there
        made = Series.objects.create(patient=self.patient, site=self.site, created_at=NOW)
        SeriesSession.objects.bulk_create(
            SeriesSession(
                series=made, number=number, name="Epidural", procedure=self.clinic.procedure.code, side="left",
                regions=["lumbar"], earliest=TOMORROW, ideal=TOMORROW, latest=TOMORROW + timedelta(days=40),
            )
            for number in (1, 2)
        )  # fmt: skip
        return made

    def rival(self) -> Appointment:
        """Return another patient's case of the same day, to change places with."""
        there = Appointment.objects.filter(site=self.site).exclude(pk=self.case.pk).first()
        return there or booking.book(
            patient=factories.patient(home=self.site, last_name="Rival", first_name="Rob"),
            procedure=self.clinic.procedure,
            target=booking.Target(side="left"),
            opening=opening(self.clinic, "10:30"),
            by=Actor.of_user(self.made_by),
            at=NOW,
        )

    def branch(self) -> Site:
        """Return a second site of all who work at this one."""
        there = Site.objects.filter(slug=f"branch-of-{self.site.pk}").first()
        there = there or factories.site(name=f"Branch of {self.site.name}", slug=f"branch-of-{self.site.pk}")
        there.staff.add(*self.site.staff.all())
        return there

    def hold(self, owner: User) -> Hold:
        return holds.hold(
            procedure=self.clinic.procedure,
            target=booking.Target(side="left"),
            opening=opening(self.clinic, "13:00"),
            by=Actor.of_user(owner),
            at=NOW,
        )

    def address(self, pattern: str, user: User | None = None, *, strange: bool = False) -> str:
        """Return the address that a pattern means for this world; `strange` puts an id that nothing has."""
        if not ARGUMENT.search(pattern):
            return pattern.replace("^", "").replace("$", "")
        what = what_is_named(pattern)
        named = str(uuid.uuid4()) if strange else self.of(what, user)

        def filled(found: re.Match[str]) -> str:
            if found["named"] and found["named"] != "public_id":
                return found["pattern"].partition("|")[0]
            if "/coverage/" in pattern and found["name"] in {"kind", "fact"}:
                return "plans" if found["name"] == "kind" else self.of("cover", user)
            if found["name"] == "number":
                return "1"
            if found["name"] == "kind" and "/performed/" in pattern:
                return "procedures"
            if found["name"] in WORDS:
                return WORDS[found["name"]]
            return self.of(found["name"], user) if found["name"] in {"fact", "score", "procedure"} else named

        return ARGUMENT.sub(filled, pattern).replace("^", "").replace("$", "")


def what_is_named(pattern: str) -> str:
    begins = [start for start in NAMED if pattern.startswith(start)]
    assert begins, f"{pattern} names something that tests/database/trust/world.py does not make: add it to NAMED and World"
    return NAMED[max(begins, key=len)]


def opening(clinic: SmallClinic, clock: str) -> openings.Opening:
    found = openings.fit(procedure=clinic.procedure, starts_at=local(TOMORROW, clock), site=clinic.site, at=NOW).opening
    assert found is not None
    return found


def make(home: Path, **person: Any) -> World:
    """Make a site with one of everything; `home` is where the local mailbox lies."""
    clinic = factories.small_clinic()
    made_by = factories.user(role="desk", sites=(clinic.site,))
    by = Actor.of_user(made_by)
    patient = factories.patient(home=clinic.site, **{**CANARIES, **person})
    case = booking.book(
        patient=patient, procedure=clinic.procedure, target=booking.Target(side="left"), opening=opening(clinic, "9:00"),
        by=by, at=NOW,
    )  # fmt: skip
    spare = factories.resource(kind="room", at_site=clinic.site, name=f"Spare of {clinic.site.name}")
    absence = Absence.objects.create(resource=spare, starts_at=local(TOMORROW, "8:00"), ends_at=local(TOMORROW, "9:00"))
    block = Block.objects.create(
        name=f"Kept at {clinic.site.name}", resource=spare, site=clinic.site, weekday=1, starts="08:00", ends="09:00",
        valid_from=TODAY, family="esi",
    )  # fmt: skip
    box = home / "mailbox"
    box.mkdir(exist_ok=True)
    (box / "1.eml").write_text("From: a@b.example\nTo: c@d.example\nSubject: A mail\nContent-Type: text/html\n\n<p>Hello</p>\n")
    nurse = Actor.of_user(factories.user(role="nurse", sites=(clinic.site,)))
    values = {"procedure": clinic.procedure, "site": clinic.site, "done_on": TODAY, "side": "left"}
    performed = records.record(kind=PerformedProcedure, patient=patient, values=values, by=nurse, at=NOW)
    pain = {"measure": "nrs", "aspect": "index", "value": 3, "scored_on": TODAY, "phase": "after", "performed": performed}
    biller = Actor.of_user(factories.user(role="biller", sites=(clinic.site,)))
    pays = {"payer": "Payer of the plan", "payer_rules": "none", "plan_type": "commercial"}
    plan = records.record(kind=Coverage, patient=patient, values=pays, by=biller, at=NOW)
    asked = {"coverage": plan, "covers": clinic.procedure.code}
    return World(
        cover=plan,
        authorization=records.record(kind=Authorization, patient=patient, values=asked, by=biller, at=NOW),
        performed=performed,
        consent=records.record(
            kind=Consent, patient=patient, values={"procedure": clinic.procedure, "given_on": TODAY}, by=nurse, at=NOW
        ),
        problem=records.record(kind=Presentation, patient=patient, values={"name": "Low back pain"}, by=nurse, at=NOW),
        paper=papers.keep(patient=patient, kind="referral", upload=papers.Upload("r.pdf", b"%PDF-1.4 r"), by=nurse, at=NOW),
        fact=records.record(kind=Allergy, patient=patient, values={"agent": "latex"}, by=nurse, at=NOW),
        note=notes.write(performed=performed, sections={"plan": "Plan of the note"}, by=nurse, at=NOW),
        score=outcomes.record_score(patient=patient, values=pain, by=nurse, at=NOW),
        clinic=clinic, made_by=made_by, patient=patient, case=case, message=Message.objects.get(appointment=case),
        absence=absence, block=block, colleague=factories.user(role="nurse", sites=(clinic.site,)), mail="1",
    )  # fmt: skip


def unnoted(world: World) -> PerformedProcedure:
    """Return a performed procedure without a note."""
    values = {"procedure": world.clinic.procedure, "site": world.site, "done_on": TODAY}
    found = PerformedProcedure.objects.filter(patient=world.patient, clinical_note=None).first()
    nurse = Actor.of_user(factories.user(role="nurse", sites=(world.site,)))
    return found or records.record(kind=PerformedProcedure, patient=world.patient, values=values, by=nurse, at=NOW)


def hold(world: World) -> None:
    """Let the patient of a site take a blood thinner that was stopped in time, so that its prescriber may be asked."""
    world.of("rule", None)
    if not Medication.objects.filter(patient=world.patient).exists():
        type(world.clinic.procedure).objects.filter(pk=world.clinic.procedure.pk).update(bleeding_class="intermediate")
        taken = {"kind": "antithrombotic", "drug": "apixaban", "name": "Apixaban", "stopped_on": TODAY - timedelta(days=10)}
        Medication.objects.create(patient=world.patient, recorded_at=NOW, **taken)


def stranger() -> str:
    """Return the record number of somebody whom no site of the world knows."""
    return str(factories.patient(home=factories.site(), last_name="Stranger", first_name="Stan").record_number)


def valid_bodies(world: World) -> Mapping[str, Mapping[str, Any]]:
    """Return for each API write a body that it takes, by operation id."""
    hold(world)
    place = {"site": str(world.site.public_id), "starts_at": local(TOMORROW, "15:00").isoformat()}
    chosen = {"procedure": world.clinic.procedure.code, "side": "left"}
    return {
        "openings_search": {**chosen, "limit": 2, "patient": str(world.patient.public_id)},
        "holds_create": {**chosen, **place},
        "holds_release": {},
        "appointments_book": {**chosen, **place, "side": "right", "patient": str(world.patient.public_id), "note": "n"},
        "appointments_move": {**place, "reason": "patient_asked"},
        "appointments_cancel": {"reason": "other", "asked_by": "patient", "note": "n"},
        "appointments_confirm": {},
        "appointments_reinstate": {},
        "appointments_status": {"to": "arrived"},
        "appointments_complete": {"side": "left", "reason": "On paper"},
        "appointments_answer_before": {"answers": [{"item": "side", "answer": "yes"}]},
        "appointments_record_intake": {"intake": {"clear_liquids": "2026-09-14T08:00:00Z"}},
        "appointments_answer_leaving": {"answers": [{"item": "walks", "answer": "yes"}], "reason": "On paper"},
        "appointments_waive": {"waivers": [{"code": "consent_missing", "reason_code": "urgent", "text": "t"}]},
        "appointments_plan": {"has_driver": True},
        "medicines_ask": {},
        "medicines_keep": {"word": "00000000-0000-4000-8000-000000000001", "starts_at": "2026-09-14T08:00:00Z"},
        "medicines_confirm": {"told_last_at": "2026-09-14T08:00:00Z"},
        "medicines_clear": {"is_agreed": True, "answered_by": "Dr. Heart", "how": "fax"},
        "dates_set": {
            "sites": [{"site": str(world.site.public_id), "hours": [{"starts": "08:00", "ends": "17:00"}]}], "reason": "Long day",
        },
        "dates_remove": {},
        "travel_set": {
            "ways": [
                {"origin": str(world.site.public_id), "destination": str(world.branch().public_id), "minutes": 30},
            ],
        },
        "privileges_set": {"modalities": ["fluoroscopy"], "procedure_minutes": 40, "valid_from": "2026-01-01"},
        "privileges_remove": {},
        "tasks_take": {},
        "tasks_close": {"outcome": "mended", "note": "n"},
        "series_order": {
            "patient": str(world.patient.public_id), "site": str(world.site.public_id),
            "items": [{"procedure": world.clinic.procedure.code, "side": "left", "regions": ["lumbar"]}],
        },
        "series_replan": {},
        "series_skip": {"session": 1},
        "series_move": {"session": 1, "on": None},
        "series_book": {"how": "whole"},
        "patients_register": {
            "last_name": "New", "first_name": "Person", "birth_date": "1960-01-02", "home_site": str(world.site.public_id),
        },
        "courses_start": {
            "patient": str(world.patient.public_id), "site": str(world.site.public_id), "pathway": "esi_as_needed",
            "works": {"epidural": world.clinic.procedure.code}, "side": "left",
        },
        "courses_change": {"works": {"epidural": world.clinic.procedure.code}, "side": "right"},
        "courses_stop": {"reason": "Goal reached"},
        "courses_restart": {"anew": False},
        "courses_snooze": {"until": "2026-10-01", "reason": "Away"},
        "courses_call": {"outcome": "reached", "note": "n"},
        "courses_book": {},
        "worklist_rehearse": {"courses": [str(world.course().public_id)]},
        # An offer that lapsed: answered row by row, and nothing is booked.
        "worklist_book": {"rows": [{"course": str(world.course().public_id), "offer": "lapsed"}]},
        "appointments_swap": {"other": str(world.rival().public_id), "other_version": 1},
        "patients_search": {"words": "zyx"},
        "emergencies_open": {"record_number": stranger(), "reason": "treating", "text": "Because it is urgent"},
        "patients_amend": {"payer": "Other"},
        "coverage_record": {"payer": "Payer", "payer_rules": "none", "plan_type": "self_pay"},
        "coverage_amend": {"state": "CA"},
        "coverage_mistake": {"reason": "r"},
        "payer_papers_keep": {"on_file": ["radicular_pain"]},
        "authorizations_record": {"coverage": str(world.cover.public_id), "covers": world.clinic.procedure.code},
        "authorizations_amend": {"units": 2},
        "authorizations_mistake": {"reason": "r"},
        "facts_record": {"agent": "latex", "severity": "mild"},
        "facts_amend": {"severity": "severe"},
        "facts_mistake": {"reason": "Another patient"},
        "performed_record": {"other_name": "Elsewhere", "is_elsewhere": True, "done_on": "2026-01-02"},
        "performed_amend": {"side": "right", "reason": "Wrong side"},
        "performed_mistake": {"reason": "Another patient"},
        "papers_keep": {"kind": "referral", "content": base64.b64encode(b"%PDF-1.4 s").decode(), "file_name": "s.pdf"},
        "papers_mistake": {"reason": "Another patient"},
        "scores_record": {"measure": "nrs", "aspect": "now", "value": "4", "scored_on": "2026-09-10"},
        "scores_amend": {"value": "5"},
        "scores_mistake": {"reason": "Typed twice"},
        "notes_write": {"performed": str(unnoted(world).public_id), "sections": {"plan": "P"}},
        "notes_edit": {"sections": {"plan": "Other"}},
        "notes_sign": {},
        "notes_cosign": {},
        "notes_add": {"text": "Added"},
    }  # fmt: skip


LATER = NOW + timedelta(hours=1)
