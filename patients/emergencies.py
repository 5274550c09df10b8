"""Break the glass: open the record of a patient of another site for an hour, with a reason, an alert and a later look at it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import structlog
from django.db import transaction

from pain_clinic import throttles
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, Forbidden, Refused
from patients.models import EmergencyAccess, EmergencyReason, Patient, folded
from patients.records import FieldRefused

log = structlog.get_logger("pain_clinic.emergencies")
LASTS = timedelta(minutes=60)
SHORTEST, LONGEST = 10, 300
TRIES, WINDOW = 10, timedelta(hours=1)
BREAK, REVIEW = "patients.break_glass", "patients.review_emergencies"


class NobodyFound(Refused):
    """Nobody, or more than one, answers to what was said; which of the two is not told."""

    def __init__(self) -> None:
        super().__init__(
            "nobody_found",
            "Nobody is found by this. It takes the record number, or first name, last name and birth date exactly.",
        )


class NoEmergency(Refused):
    def __init__(self, patient: Patient) -> None:
        super().__init__("no_emergency", "A site of yours knows this person: open the record as usual.")
        self.patient = patient


class TooMany(Refused):
    status = 429

    def __init__(self) -> None:
        super().__init__("too_many", "Too many tries in an hour. Call the clinic's manager.")


class Reviewed(Conflict):
    def __init__(self) -> None:
        super().__init__("reviewed", "Somebody has looked at this already.")


def count_try(user: User) -> None:
    """Count that somebody looks for a person of another site, at whatever door.

    Raises:
        TooMany: they have tried too often in an hour.
    """
    if throttles.count("emergency", str(user.pk), window=WINDOW) > TRIES:
        raise TooMany


def find(*, record_number: str = "", first_name: str = "", last_name: str = "", birth_date: date | None = None) -> Patient:
    """Return the one person of this record number, or of exactly this name and birth date, at whatever site.

    Raises:
        NobodyFound: there is none, or there are several.
    """
    rows = Patient.objects.select_related("home_site")
    if record_number.strip():
        rows = rows.filter(record_number=record_number.strip().upper())
    elif first_name.strip() and last_name.strip() and birth_date is not None:
        rows = rows.filter(search_name=folded(f"{last_name} {first_name}"), birth_date=birth_date)
    else:
        raise NobodyFound
    found = list(rows[:2])
    if len(found) != 1:
        raise NobodyFound
    return found[0]


def break_glass(*, patient: Patient, user: User, reason: str, text: str, by: Actor, at: datetime) -> EmergencyAccess:
    """Let somebody reach a record for an hour, and alert. Asked again while it lasts, it gives the same access.

    Raises:
        Forbidden: the actor may not.
        NoEmergency: a site of theirs knows the patient.
        FieldRefused: no reason is chosen, or it is not said in words.
    """
    if not by.may(BREAK) or by.user_id != user.pk:
        raise Forbidden("not_allowed", "You may not open records in an emergency.")
    if reason not in EmergencyReason.values:
        raise FieldRefused("missing", "reason", "Choose a reason.")
    if not SHORTEST <= len(text.strip()) <= LONGEST:
        raise FieldRefused("unusable", "text", f"Say why in {SHORTEST} to {LONGEST} letters.")
    if Patient.objects.visible_to(user).filter(pk=patient.pk).exists():
        raise NoEmergency(patient)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)  # a double click opens once
        lasting = EmergencyAccess.objects.lasting(at).filter(user=user, patient=patient).first()
        if lasting is not None:
            return lasting
        row = EmergencyAccess.objects.create(
            patient=patient, user=user, reason=reason, text=text.strip(), opened_at=at, ends_at=at + LASTS
        )
        trail.record(
            by=by, act=BREAK, subject=row, patient=patient.public_id, site_id=patient.home_site_id, reason_code=reason,
            details={"minutes": int(LASTS / timedelta(minutes=1))},
        )  # fmt: skip
    log.warning("record opened in an emergency", user_id=user.pk, subject_id=str(row.public_id))
    return row


def lasting(*, patient: Patient, user: User, at: datetime) -> EmergencyAccess | None:
    """Return the emergency in which this person reaches a patient just now, if it is one."""
    return EmergencyAccess.objects.lasting(at).filter(user=user, patient=patient).order_by("-ends_at").first()


def review(*, access: EmergencyAccess, user: User, by: Actor, at: datetime) -> EmergencyAccess:
    """Note that somebody has looked at an emergency access; nobody looks at their own.

    Raises:
        Forbidden: the actor may not, or opened the record.
        Reviewed: it was looked at already.
    """
    if not by.may(REVIEW) or by.user_id != user.pk:
        raise Forbidden("not_allowed", "You may not review records opened in an emergency.")
    if access.user_id == user.pk:
        raise Forbidden("own_emergency", "Somebody else looks at a record that you opened.")
    with transaction.atomic():
        row = EmergencyAccess.objects.select_for_update(no_key=True, of=("self",)).select_related("patient").get(pk=access.pk)
        if row.reviewed_at is not None:
            raise Reviewed
        row.reviewed_at, row.reviewed_by = at, user
        row.save(update_fields=["reviewed_at", "reviewed_by"])
        trail.record(by=by, act="patients.review_emergency", subject=row, patient=row.patient.public_id)
    return row
