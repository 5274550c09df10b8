"""Links in mails: made when the mail is rendered, known by their hash, good for one purpose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef

from pain_clinic import statements
from pain_clinic.accounts.actors import Actor
from pain_clinic.audit import trail
from pain_clinic.errors import Gone
from patients.models import Answer, Clearance, ClearanceKind
from scheduling.models import Appointment, Link, LinkPurpose, Message, Status

LASTS: dict[str, timedelta | None] = {
    LinkPurpose.VISIT: None,  # until the visit is over
    LinkPurpose.UNSUBSCRIBE: timedelta(days=90),
    LinkPurpose.SCORE: timedelta(days=30),
    LinkPurpose.COURSE: timedelta(days=60),
}
MOST_WRONG_PROOFS = 5
SECRET = re.compile(r"\A[A-Za-z0-9_-]{22}\Z")
OVER = (Status.DISCHARGED, Status.NO_SHOW, Status.LEFT_BEFORE_SEEN)
# Whether a prescriber has ever agreed: without that there is no plan to look for.
AGREED = Clearance.objects.standing().filter(answer=Answer.GIVEN, kind=ClearanceKind.HOLD)


class LinkUnknown(Gone):
    """No link has this secret."""

    status = 404

    def __init__(self) -> None:
        super().__init__("link_unknown", "This link is not one of ours.")


class LinkGone(Gone):
    """The link was revoked, has expired, or its visit is over."""

    def __init__(self) -> None:
        super().__init__("link_gone", "This link is no longer good.")


def issue(*, message: Message, purpose: str, at: datetime) -> str:
    """Return the full address of a new link for a mail that is being written; the secret is kept nowhere else.

    Older links of the same message stay good for their purpose.
    """
    return issue_all(message=message, purposes=[purpose], at=at)[0]


def issue_all(*, message: Message, purposes: Sequence[str], at: datetime) -> list[str]:
    """Return the addresses of new links of one mail, one for each purpose, as `issue` makes them."""
    secrets = [Link.make_secret() for _ in purposes]
    statements.insert_all([_new(message, purpose, secret, at) for purpose, secret in zip(purposes, secrets, strict=True)])
    return [address_of(secret) for secret in secrets]


def _new(message: Message, purpose: str, secret: str, at: datetime) -> Link:
    lasts = LASTS[purpose]
    return Link(
        digest=Link.digest_of(secret),
        purpose=purpose,
        message=message,
        appointment=message.appointment,
        patient_id=message.patient_id,
        version=message.appointment.version,
        calendar_sequence=message.appointment.calendar_sequence,
        created_at=at,
        expires_at=at + lasts if lasts is not None else None,
    )


def address_of(secret: str) -> str:
    """Return the address that carries a secret."""
    return f"{settings.BASE_URL}/l/{secret}/"


def mask(text: str) -> str:
    """Return a mail's text as it may be kept: every link without its secret."""
    return re.sub(r"(/l/)[A-Za-z0-9_-]{8,}", r"\1***", text)


def read(*, secret: str, at: datetime) -> Link:
    """Return the link that a secret opens, with its visit, patient and site.

    Raises:
        LinkUnknown: there is none.
        LinkGone: it was revoked, has expired, or the visit is over.
    """
    if not SECRET.match(secret):
        raise LinkUnknown
    link = (
        Link.objects.filter(digest=Link.digest_of(secret))
        .select_related("appointment__site", "appointment__procedure", "patient", "message")
        .annotate(has_agreement=Exists(AGREED.filter(patient=OuterRef("patient"))))
        .first()
    )
    if link is None:
        raise LinkUnknown
    if link.is_over(at) or link.patient.deceased_on is not None:
        raise LinkGone
    if link.purpose == LinkPurpose.VISIT and is_visit_over(link.appointment, at):
        raise LinkGone
    return link


def is_visit_over(appointment: Appointment, at: datetime) -> bool:
    """Say whether there is nothing left to answer: the patient has left, or the time has passed."""
    return appointment.status in OVER or at >= appointment.leaves_at


def revoke(*, appointment: Appointment, by: Actor, at: datetime) -> int:
    """End every link of a case; return how many were good until now."""
    ended = Link.objects.live().filter(appointment=appointment).update(revoked_at=at)
    if ended:
        trail.record(
            by=by, act="scheduling.revoke_links", subject=appointment, patient=appointment.patient.public_id,
            site_id=appointment.site_id, details={"count": ended},
        )  # fmt: skip
    return ended


def is_closed_for_proof(link: Link) -> bool:
    """Say whether too many wrong birth dates were tried on this link."""
    return link.wrong_proofs >= MOST_WRONG_PROOFS


def prove(*, link: Link, birth_date: date | None, by: Actor) -> bool:
    """Say whether this is the patient's birth date. Each wrong one counts, and the fifth closes the link for proofs."""
    if is_closed_for_proof(link):
        return False
    # Count first, in one statement: tries made at the same moment cannot slip past the limit.
    counted = Link.objects.filter(pk=link.pk, wrong_proofs__lt=MOST_WRONG_PROOFS).update(wrong_proofs=F("wrong_proofs") + 1)
    link.refresh_from_db(fields=["wrong_proofs"])
    is_right = bool(counted) and birth_date is not None and birth_date == link.patient.birth_date
    if is_right:
        Link.objects.filter(pk=link.pk).update(wrong_proofs=0)
        link.wrong_proofs = 0
    trail.record(
        by=by, act="scheduling.prove_link", outcome="done" if is_right else "refused", subject=link,
        patient=link.patient.public_id, site_id=link.appointment.site_id, reason_code="" if is_right else "wrong_birth_date",
    )  # fmt: skip
    return is_right
