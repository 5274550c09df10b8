"""Reads: what the patient pages show, with a fixed number of queries each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, Q, When
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit import trail
from pain_clinic.audit.models import AuditEvent
from pain_clinic.clock import days_in_words
from patients import records
from patients.models import Patient, PatientQuerySet, folded
from patients.sheets import CellError, read_date

MOST = 20
LATELY = 8
READ = "patients.read"
SEXES = {"female": "female", "male": "male", "other": "other", "unknown": "sex not known"}


@dataclass(frozen=True, slots=True)
class Flag:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What happened, what was kept, what to do."""

    code: str
    title: str
    message: str
    kept: str = ""
    next_act: str = ""
    lines: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class PatientRow:
    public_id: UUID
    url: str
    book_url: str
    name: str
    birth_date: date
    age: int
    sex: str
    record_number: str
    phone: str
    site: str
    flags: tuple[Flag, ...] = ()
    same_name: str = ""
    next_at: datetime | None = None
    next_what: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    q: str
    rows: tuple[PatientRow, ...] = ()
    title: str = ""
    truncated: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class PatientList:
    q: str
    results: Results
    may_register: bool
    register_url: str
    emergency_url: str = ""


@dataclass(frozen=True, slots=True)
class PatientFormPage:
    title: str
    action: str
    form: Any
    is_new: bool
    cancel_url: str
    request_key: str
    duplicates: tuple[PatientRow, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class PatientPage:
    public_id: UUID
    title: str
    name: str
    born: date
    age: int
    sex: str
    record_number: str
    same_name: str
    is_deceased: bool
    facts: tuple[Flag, ...]
    contact: tuple[Pair, ...]
    about: tuple[Pair, ...]
    edit_url: str
    book_url: str
    upcoming_url: str
    messages_url: str
    record_url: str = ""
    score_url: str = ""
    rules_url: str = ""
    access_url: str = ""
    cover_url: str = ""
    upcoming_count: int | None = None
    performed: tuple[Any, ...] = ()
    marks: tuple[Any, ...] = field(default=())


def search(*, text: str, user: User, by: Actor, today: date) -> Results:
    """Return the patients this user may see whose names, record number, telephone and birth date hold every word.

    The search is a recorded act; the words are not kept.
    """
    words = text.split()
    if not words:
        return lately(user=user, today=today)
    found = _matching(Patient.objects.visible_to(user), words)
    in_order = found.select_related("home_site").in_name_order()
    first = folded(words[0])
    if first:  # whose last name begins so comes before whose first name does, and both before who only has it somewhere
        begins = Case(When(search_name__startswith=first, then=0), When(search_name__contains=f" {first}", then=1), default=2)
        in_order = in_order.order_by(begins, *in_order.query.order_by)
    rows = list(in_order[: MOST + 1])
    trail.record(by=by, act="patients.search", details={"found": len(rows)})
    shown = rows[:MOST]
    title = f"More than {MOST} people" if len(rows) > MOST else "One person" if len(rows) == 1 else f"{len(rows)} people"
    hint = "" if rows else _hint(words)
    return Results(text, rows_of(shown, user=user, today=today), title, len(rows) > MOST, hint)


def _hint(words: Sequence[str]) -> str:
    """Say what to try when nobody was found."""
    shorter = any(len(folded(word)) > 2 for word in words)
    fewer = (
        "Try fewer letters, or" if shorter else "Try fewer words, or" if len(words) > 1 else "Try the first letters of a name,"
    )
    return f"{fewer} a birth date such as 1958-03-02. People of other sites are not shown."


def _matching(patients: PatientQuerySet, words: Sequence[str]) -> PatientQuerySet:
    for word in words:
        days = _days(word)
        name = folded(word)
        if days:
            patients = patients.filter(birth_date__in=days)
        elif len(name) == 1:  # an initial: names that begin with it, not every name with that letter
            patients = patients.filter(Q(search_name__startswith=name) | Q(search_name__contains=f" {name}"))
        else:
            patients = patients.matching(word)
    return patients


def _days(word: str) -> set[date]:
    """Return the dates that a word may mean; where day and month could be exchanged, both."""
    days = set()
    for order in ("dmy", "mdy"):
        try:
            days.add(read_date(word, order))
        except CellError:
            continue
    return days


def lately(*, user: User, today: date) -> Results:
    """Return whom this user looked at last, the latest first."""
    seen = AuditEvent.objects.filter(user=user, patient_id__isnull=False, act__startswith="patients.").order_by("-at", "-pk")
    ids = [one for one in dict.fromkeys(seen.values_list("patient_id", flat=True)[:60]) if one is not None][:LATELY]
    found = {row.public_id: row for row in Patient.objects.visible_to(user).filter(public_id__in=ids).select_related("home_site")}
    return Results("", rows_of([found[one] for one in ids if one in found], user=user, today=today), "Seen lately")


def rows_of(patients: Sequence[Patient], *, user: User, today: date) -> tuple[PatientRow, ...]:
    """Return patients as lists show them."""
    warnings = records.same_names(patients, user=user)
    may_book = user.has_perm("scheduling.book_appointment")
    return tuple(
        PatientRow(
            public_id=patient.public_id,
            url=reverse("patients:patient", args=[patient.public_id]),
            book_url=book_url(patient) if may_book else "",
            name=str(patient),
            birth_date=patient.birth_date,
            age=age_on(patient.birth_date, patient.deceased_on or today),
            sex=SEXES.get(patient.sex, patient.sex),
            record_number=patient.record_number,
            phone=spoken(patient.phone),
            site=patient.home_site.name,
            flags=(Flag("deceased", "Deceased"),) if patient.deceased_on else (),
            same_name=warnings.get(patient.pk, ""),
        )
        for patient in patients
    )


def open_page(*, patient: Patient, user: User, by: Actor, today: date) -> PatientPage:
    """Return one patient's page; opening it is a recorded act."""
    trail.record(by=by, act=READ, subject=patient, patient=patient.public_id, site_id=patient.home_site_id)
    address = reverse("patients:patient", args=[patient.public_id])
    return PatientPage(
        public_id=patient.public_id,
        title=f"{patient.first_name} {patient.last_name}, {patient.birth_date.year}",
        name=f"{patient.first_name} {patient.last_name}",
        born=patient.birth_date,
        age=age_on(patient.birth_date, patient.deceased_on or today),
        sex=SEXES.get(patient.sex, patient.sex),
        record_number=patient.record_number,
        same_name=records.same_names([patient], user=user).get(patient.pk, ""),
        is_deceased=patient.deceased_on is not None,
        facts=tuple(_facts(patient)),
        contact=(
            Pair("Telephone", spoken(patient.phone)),
            Pair("E-mail", patient.email),
            Pair("E-mail about appointments", "yes" if patient.accepts_email else "not wanted"),
            Pair("Mail subject may name the procedure", "yes" if patient.accepts_details else ""),
            Pair("Language", patient.speaks),
            Pair("Time zone", patient.time_zone),
        ),
        about=(
            Pair("Home site", patient.home_site.name),
            Pair("Payer", patient.payer),
            Pair("Number elsewhere", patient.external_id or ""),
        ),
        edit_url=f"{address}edit/" if user.has_perm("patients.change_patient") else "",
        book_url=book_url(patient) if user.has_perm("scheduling.book_appointment") else "",
        upcoming_url=_linked("scheduling:patient_upcoming", patient, user.has_perm("scheduling.view_appointment")),
        messages_url=_linked("scheduling:patient_messages", patient, user.has_perm("scheduling.read_patient_messages")),
        record_url=_linked("patients:record", patient, user.has_perm("patients.record_clinical")),
        rules_url=rules_url(patient) if user.has_perm("procedures.view_rules") else "",
        cover_url=_linked("patients:cover", patient, user.has_perm("patients.view_coverage")),
        score_url=_linked("patients:score_new", patient, user.has_perm("patients.record_outcome")),
        access_url=_linked("patients:access", patient, user.has_perm("patients.print_access_list")),
    )


def _facts(patient: Patient) -> Iterable[Flag]:
    if patient.deceased_on:
        yield Flag("deceased", days_in_words(f"Died on {patient.deceased_on}"))
    if patient.language != "en":
        yield Flag("interpreter", f"Speaks {patient.speaks}")
    if patient.payer:
        yield Flag("note", patient.payer)


def _linked(name: str, patient: Patient, is_allowed: bool) -> str:
    return reverse(name, args=[patient.public_id]) if is_allowed else ""


def book_url(patient: Patient) -> str:
    """Return where this patient is booked; the page belongs to the floor above and is known by name only."""
    return f"{reverse('scheduling:book')}?patient={patient.public_id}"


def rules_url(patient: Patient) -> str:
    """Return where the rules can be tried on this patient; as for booking, the page is known by name only."""
    return f"{reverse('scheduling:assess')}?patient={patient.public_id}"


def age_on(born: date, on: date) -> int:
    """Return the age in whole years; who is born on 29 February grows older on 1 March of other years."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def spoken(phone: Any) -> str:
    """Return a telephone number as people read it."""
    if not phone:
        return ""
    return str(phone.as_national if getattr(phone, "country_code", None) == 1 else phone.as_international)
