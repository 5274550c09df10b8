"""Links: a secret kept nowhere but in the mail, one purpose, an end. TRUST L6, L7, L10."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from typing import Any

import pytest

from pain_clinic.accounts.actors import Actor
from pain_clinic.audit.models import AuditEvent
from pain_clinic.errors import Gone
from scheduling import links, messages
from scheduling.models import Appointment, Link, LinkPurpose, Message, MessageKind, Status
from tests import factories
from tests.factories import NOW

PATIENT = Actor.system("a patient")


def message(**values: Any) -> Message:
    case = factories.appointment(of=factories.patient(email="vera@example.org"), **values)
    return messages.lay_down(appointment=case, kind=MessageKind.CONFIRMATION, at=NOW)


def secret_of(address: str) -> str:
    return address.rstrip("/").rpartition("/")[2]


def issued(about: Message, purpose: str = LinkPurpose.VISIT) -> str:
    return secret_of(links.issue(message=about, purpose=purpose, at=NOW))


def test_address_stands_under_the_base_url_and_carries_128_bits(settings: Any) -> None:
    settings.BASE_URL = "https://visits.example"
    address = links.issue(message=message(), purpose=LinkPurpose.VISIT, at=NOW)
    assert address.startswith("https://visits.example/l/")
    assert address.endswith("/")
    assert len(base64.urlsafe_b64decode(secret_of(address) + "==")) == 16


def test_only_the_hash_is_kept_bound_to_purpose_message_case_and_version() -> None:
    about = message(version=4, calendar_sequence=2)
    secret = issued(about)
    row = Link.objects.get()
    assert secret not in str(vars(row))
    assert row.digest == Link.digest_of(secret)
    assert (row.purpose, row.message, row.appointment, row.patient_id, row.version, row.calendar_sequence) == (
        "visit", about, about.appointment, about.patient_id, 4, 2,
    )  # fmt: skip


def test_resend_makes_a_new_link_and_the_older_one_stays_good() -> None:
    about = message()
    first, second = issued(about), issued(about)
    assert first != second
    assert links.read(secret=first, at=NOW).message == links.read(secret=second, at=NOW).message == about


@pytest.mark.parametrize("change", ["flipped", "cut", "long", "empty", "nul", "unicode"])
def test_spoilt_secret_opens_nothing(change: str) -> None:
    secret = issued(message())
    spoilt = {
        "flipped": ("A" if secret[0] != "A" else "B") + secret[1:],
        "cut": secret[:-1],
        "long": secret * 100,
        "empty": "",
        "nul": secret[:-1] + "\x00",
        "unicode": "é" * 22,
    }[change]
    with pytest.raises(Gone) as refusal:
        links.read(secret=spoilt, at=NOW)
    assert (refusal.value.code, refusal.value.status) == ("link_unknown", 404)


def test_visit_link_ends_when_the_patient_may_leave_and_not_a_minute_before() -> None:
    about = message()
    secret, ends = issued(about), about.appointment.leaves_at
    assert links.read(secret=secret, at=ends - timedelta(minutes=1)).appointment == about.appointment
    with pytest.raises(Gone) as refusal:
        links.read(secret=secret, at=ends)
    assert (refusal.value.code, refusal.value.status) == ("link_gone", 410)


@pytest.mark.parametrize("status", [Status.DISCHARGED, Status.NO_SHOW, Status.LEFT_BEFORE_SEEN])
def test_visit_link_ends_with_the_visit_itself(status: Status) -> None:
    about = message()
    secret = issued(about)
    Appointment.objects.filter(pk=about.appointment_id).update(status=status)
    with pytest.raises(Gone):
        links.read(secret=secret, at=NOW)


def test_cancelled_visit_keeps_its_link_so_that_the_page_can_say_so() -> None:
    about = message()
    secret = issued(about)
    Appointment.objects.filter(pk=about.appointment_id).update(
        status=Status.CANCELLED, cancel_reason="other", asked_by="clinic", cancelled_at=NOW
    )
    assert links.read(secret=secret, at=NOW).appointment.status == Status.CANCELLED


def test_unsubscribing_stays_possible_after_the_visit_but_not_for_ever() -> None:
    about = message()
    secret = issued(about, LinkPurpose.UNSUBSCRIBE)
    assert links.read(secret=secret, at=about.appointment.leaves_at + timedelta(days=40)).purpose == "unsubscribe"
    with pytest.raises(Gone):
        links.read(secret=secret, at=NOW + timedelta(days=90))


def test_revoked_links_open_nothing_and_others_stay() -> None:
    about, other = message(), message()
    first, second, kept = issued(about), issued(about, LinkPurpose.UNSUBSCRIBE), issued(other)
    assert links.revoke(appointment=about.appointment, by=PATIENT, at=NOW) == 2
    for secret in (first, second):
        with pytest.raises(Gone):
            links.read(secret=secret, at=NOW)
    assert links.read(secret=kept, at=NOW).message == other


def test_nobody_reads_a_link_of_somebody_who_has_died() -> None:
    about = message()
    secret = issued(about)
    about.patient.deceased_on = date(2026, 9, 1)
    about.patient.save(update_fields=["deceased_on"])
    with pytest.raises(Gone):
        links.read(secret=secret, at=NOW)


def test_masked_text_names_no_secret() -> None:
    address = links.issue(message=message(), purpose=LinkPurpose.VISIT, at=NOW)
    assert secret_of(address) not in links.mask(f"Answer here: {address}.")
    assert links.mask(f"{address} or call").endswith("/l/***/ or call")


def test_fifth_wrong_birth_date_closes_the_link_even_for_the_right_one() -> None:
    about = message()
    link = links.read(secret=issued(about), at=NOW)
    born = about.patient.birth_date
    for _ in range(4):
        assert not links.prove(link=link, birth_date=born + timedelta(days=1), by=PATIENT)
    assert links.prove(link=link, birth_date=born, by=PATIENT)
    assert not links.prove(link=link, birth_date=None, by=PATIENT)
    for _ in range(4):
        links.prove(link=link, birth_date=born + timedelta(days=1), by=PATIENT)
    assert links.is_closed_for_proof(link)
    assert not links.prove(link=link, birth_date=born, by=PATIENT)


def test_revoking_links_that_are_ended_already_is_not_recorded() -> None:
    about = message()
    issued(about)
    given = {"appointment": about.appointment, "by": PATIENT, "at": NOW}
    assert (links.revoke(**given), links.revoke(**given)) == (1, 0)  # type: ignore[arg-type]
    assert AuditEvent.objects.filter(act="scheduling.revoke_links").count() == 1
