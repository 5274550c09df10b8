"""Verbs that write down who somebody is, and the reads that keep one person from becoming two."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from pain_clinic import languages
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site, User
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden, translated
from patients.models import FactChange, Patient, PatientSite, Sex, folded
from patients.records.cleaning import FieldRefused, clean, phone_text

# What may be changed afterwards, and in which order changes are applied.
CHANGEABLE = (
    "last_name",
    "first_name",
    "birth_date",
    "sex",
    "email",
    "phone",
    "language",
    "payer",
    "external_id",
    "time_zone",
    "accepts_email",
    "accepts_details",
    "deceased_on",
    "home_site",
)
JUDGED = frozenset({"birth_date", "sex", "deceased_on"})  # what rules, courses and messages rest on
REGISTERING = 730_601  # the class of the advisory locks under which people are registered, by birth date
SEQUENCE = "pg_get_serial_sequence('patients_patient', 'id')"


class Stale(Conflict):
    def __init__(self, patient: Patient) -> None:
        super().__init__(
            "stale",
            "Somebody else changed this patient in the meantime. Look at what is there now, then save again.",
            {"version": patient.version},
        )


class PossibleDuplicate(Conflict):
    """Somebody like this is on file already; `found` are those people."""

    def __init__(self, found: list[Patient]) -> None:
        super().__init__(
            "possible_duplicate",
            "Somebody with this name and birth date is on file already. Open that record, or say that this is another person.",
            {"count": len(found)},
        )
        self.found = found


class ExternalIdTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("external_id_taken", "This external id belongs to another patient.")


TAKEN = {"patients_patient_external_id_key": ExternalIdTaken}


def register(
    *,
    last_name: str,
    first_name: str,
    birth_date: date,
    home_site: Site,
    by: Actor,
    at: datetime,
    sex: str = Sex.UNKNOWN,
    email: str = "",
    phone: str = "",
    language: str = languages.ENGLISH,
    payer: str = "",
    external_id: str | None = None,
    time_zone: str = "",
    accepts_email: bool = True,
    accepts_details: bool = False,
    deceased_on: date | None = None,
    is_another_person: bool = False,
) -> Patient:
    """Write down a new patient under a new record number, known to their home site.

    Raises:
        FieldRefused: a value cannot be kept.
        PossibleDuplicate: the same name and birth date are on file, and nobody said that this is another person.
        ExternalIdTaken: another patient has this external id.
        Forbidden: the actor does not work at the home site.
        Busy: somebody born on the same day is just being registered, for longer than anybody should wait.
    """
    if not by.may_at(home_site.pk):
        raise Forbidden("not_your_site", "You can register patients only at a site where you work.")
    values = clean(
        {
            "last_name": last_name,
            "first_name": first_name,
            "birth_date": birth_date,
            "sex": sex,
            "email": email,
            "phone": phone,
            "language": language,
            "payer": payer,
            "external_id": external_id,
            "time_zone": time_zone,
            "accepts_email": accepts_email,
            "accepts_details": accepts_details,
            "deceased_on": deceased_on,
        },
        today=home_site.day_at(at),
    )
    _check_death(values["birth_date"], values["deceased_on"])
    with translated(TAKEN), transaction.atomic():
        if not is_another_person:
            _one_at_a_time(values["birth_date"])
            found = same_person(values["last_name"], values["first_name"], values["birth_date"])
            if found:
                raise PossibleDuplicate(found)
        key, number = numbers(1)[0]
        patient = Patient(pk=key, record_number=number, home_site=home_site, created_at=at, **values)
        patient.save(force_insert=True)
        PatientSite.objects.create(patient=patient, site=home_site, because=PatientSite.Because.HOME, since=at)
        trail.record(
            by=by, act="patients.register", subject=patient, patient=patient.public_id, site_id=home_site.pk,
            details={"is_another_person": True} if is_another_person else None,
        )  # fmt: skip
    return patient


def _one_at_a_time(birth_date: date) -> None:
    """Wait until nobody of this birth date is being registered: two desks at once would both find nobody on file."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [REGISTERING, birth_date.toordinal()])


def amend(*, patient: Patient, changes: Mapping[str, Any], by: Actor, at: datetime, version: int | None = None) -> Patient:
    """Change what is on file; what is equal already is left alone, and without any change nothing is written.

    Raises:
        Stale: `version` is not the present one.
        FieldRefused: a value cannot be kept.
        ExternalIdTaken: another patient has this external id.
        Forbidden: the actor does not work at the new home site.
    """
    unknown = set(changes) - set(CHANGEABLE)
    if unknown:
        raise FieldRefused("field_unknown", sorted(unknown)[0], "This cannot be changed here.")
    # A language that stays is not judged again: its translation may have been taken away.
    stays = {name: value for name, value in changes.items() if name == "language" and value == patient.language}
    new = {name: value for name, value in changes.items() if name not in stays}
    values = {**clean(new, today=(changes.get("home_site") or patient.home_site).day_at(at)), **stays}
    with translated(TAKEN), transaction.atomic():
        kept = Patient.objects.select_for_update(no_key=True).get(pk=patient.pk)
        if version is not None and version != kept.version:
            raise Stale(kept)
        changed = [name for name in CHANGEABLE if name in values and getattr(kept, name) != values[name]]
        if not changed:
            return kept
        old_home = kept.home_site_id
        for name in changed:
            setattr(kept, name, values[name])
        _check_death(kept.birth_date, kept.deceased_on)
        kept.version += 1
        kept.save(update_fields=[*changed, "search_name", "version"])
        if "home_site" in changed:
            _move_home(kept, old_home, by, at)
        if not JUDGED.isdisjoint(changed):
            FactChange.objects.create(patient=kept, kind="patient", at=at)
        trail.record(
            by=by, act="patients.amend", subject=kept, patient=kept.public_id, site_id=kept.home_site_id,
            details={"fields": changed, "version": kept.version},
        )  # fmt: skip
    return kept


def _move_home(patient: Patient, old_home: int, by: Actor, at: datetime) -> None:
    if not by.may_at(patient.home_site_id):
        raise Forbidden("not_your_site", "You can give a patient only to a site where you work.")
    home = PatientSite.Because.HOME
    PatientSite.objects.filter(patient=patient, site_id=old_home, because=home).delete()
    PatientSite.objects.get_or_create(patient=patient, site=patient.home_site, because=home, defaults={"since": at})


def numbers(count: int) -> list[tuple[int, str]]:
    """Reserve primary keys and the record numbers that go with them."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT nextval({SEQUENCE}) FROM generate_series(1, %s)", [count])  # nosec B608  # noqa: S608  a constant
        return [(key, record_number(key)) for (key,) in cursor.fetchall()]


def record_number(key: int) -> str:
    """Return the record number for a primary key: seven digits or more, the last of which checks the others (Luhn)."""
    body = str(100_000 + key)
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{body}{-total % 10}"


def same_person(last_name: str, first_name: str, birth_date: date) -> list[Patient]:
    """Return those on file under exactly this name (case, accents and hyphens aside) and birth date."""
    name = folded(f"{last_name} {first_name}")
    return list(Patient.objects.filter(search_name=name, birth_date=birth_date).order_by("pk")[:10])


def possible_duplicates(
    *,
    last_name: str,
    first_name: str,
    birth_date: date,
    phone: str = "",
    email: str = "",
    besides: Patient | None = None,
) -> list[Patient]:
    """Return who may be the same person: the likeliest first, at most ten.

    Same name and birth date; names the other way round; same birth date and one same name; same name and day and
    month exchanged; same telephone or e-mail together with one same name or the birth date.
    """
    last, first = folded(last_name), folded(first_name)
    swapped = _swapped(birth_date)
    contact = Q(pk__in=[])
    number = phone_text(phone)
    if number:
        contact |= Q(phone=number)
    if email:
        contact |= Q(email__iexact=email)
    one_name = Q(search_name__startswith=f"{last} ") | Q(search_name__endswith=f" {first}") if last and first else Q(pk__in=[])
    both = Q(search_name__in=[f"{last} {first}", f"{first} {last}"])
    likely = (Q(birth_date=birth_date) & (both | one_name)) | (contact & (one_name | Q(birth_date=birth_date)))
    if swapped is not None:
        likely |= both & Q(birth_date=swapped)
    rows = Patient.objects.filter(likely).select_related("home_site")
    if besides is not None:
        rows = rows.exclude(pk=besides.pk)
    exact = {f"{last} {first}", f"{first} {last}"}
    found = list(rows.order_by("search_name", "birth_date", "pk")[:50])
    found.sort(key=lambda row: (row.birth_date != birth_date, row.search_name not in exact, row.search_name, row.pk))
    return found[:10]


def same_names(patients: Collection[Patient], *, user: User) -> dict[int, str]:
    """Return a warning for each patient whose name somebody else has, among those whom this user may see."""
    names = {patient.search_name for patient in patients}
    if not names:
        return {}
    others: dict[str, list[Patient]] = {}
    for row in Patient.objects.visible_to(user).filter(search_name__in=names).order_by("birth_date", "pk"):
        others.setdefault(row.search_name, []).append(row)
    warnings: dict[int, str] = {}
    for patient in patients:
        born = [str(other.birth_date.year) for other in others.get(patient.search_name, ()) if other.pk != patient.pk]
        if born:
            warnings[patient.pk] = f"another {patient.first_name} {patient.last_name}, born {_listed(born[:3])}"
    return warnings


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _swapped(day: date) -> date | None:
    if day.day > 12 or day.day == day.month:
        return None
    return date(day.year, day.day, day.month)


def _check_death(born: date, died: date | None) -> None:
    if died is not None and died < born:
        raise FieldRefused("death_before_birth", "deceased_on", "The date of death is before the birth date.")
