"""The clinic's own words: a text per passage and language, each change a new version, as shipped again by an empty one."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, DomainError, Refused, translated
from patients.models import Patient
from procedures.models import Driver, Procedure
from scheduling import letters
from scheduling.letters import PASSAGES, Known, Letter, placeholders_of
from scheduling.models import Appointment, Message, MessageKind, Wording

LONGEST = 600
LINK = "https://clinic.example/l/example/"
# Which letter shows a passage that is not in every one, and the sedation and driver that bring it out.
SHOWN_IN: Mapping[str, str] = {
    "changed": MessageKind.CHANGE, "ask": MessageKind.REMINDER, "read_plan": MessageKind.PLAN_READY,
    "button_plan": MessageKind.PLAN_READY, "answer_score": MessageKind.FOLLOW_UP, "button_score": MessageKind.FOLLOW_UP,
    "late": MessageKind.ARRIVAL, "cancelled_medicines": MessageKind.CANCELLATION, "cancelled_other": MessageKind.CANCELLATION,
    "call_for_another": MessageKind.NO_SHOW, "call_for_next": MessageKind.RECALL, "worried": MessageKind.FOLLOW_UP,
    "course_call": MessageKind.COURSE,
}  # fmt: skip


class WordingStale(Conflict):
    def __init__(self, version: int) -> None:
        super().__init__(
            "stale", "Somebody else changed these words meanwhile. Look at what is there now, then save again.",
            {"version": version},
        )  # fmt: skip


class WordingRefused(Refused):
    """Words that cannot be sent: a placeholder lost or unknown, nothing, or too much."""


def current(key: str, language: str) -> Wording | None:
    """Return the newest own words of a passage, which may be the word that those shipped hold again."""
    return Wording.objects.filter(key=key, language=language).order_by("-version").first()


def changed() -> dict[tuple[str, str], Wording]:
    """Return the newest own words of every passage that has any, by passage and language."""
    rows = Wording.objects.order_by("key", "language", "-version").distinct("key", "language")
    return {(row.key, row.language): row for row in rows if row.text}


def save(*, key: str, language: str, text: str, version: int, by: Actor, at: datetime) -> Wording:
    """Make these the clinic's words from the next mail on.

    Raises:
        WordingRefused: with the placeholders that are lost or unknown.
        WordingStale: `version` is not that of the newest words.
    """
    kept = cleaned(text)
    check(key, kept)
    return _write(key, language, kept, version, by, at, "scheduling.change_wording")


def reset(*, key: str, language: str, version: int, by: Actor, at: datetime) -> Wording:
    """Let the words as shipped hold again.

    Raises:
        WordingStale: `version` is not that of the newest words.
    """
    return _write(key, language, "", version, by, at, "scheduling.reset_wording")


def check(key: str, text: str) -> None:
    """Refuse words that no patient should get.

    Raises:
        WordingRefused: with the reason in words.
    """
    if not text:
        raise WordingRefused("wording_empty", "There is nothing here. To have the words as shipped again, reset them.")
    if len(text) > LONGEST:
        raise WordingRefused("wording_too_long", f"At most {LONGEST} characters.")
    needs, there = PASSAGES[key].needs, placeholders_of(text)
    lost, unknown = sorted(needs - there), sorted(there - needs)
    if lost:
        raise WordingRefused("placeholder_lost", f"This is missing: {_named(lost)}. Without it the mail would not say it.")
    if unknown:
        raise WordingRefused("placeholder_unknown", f"There is nothing to put in for {_named(unknown)} here.")


def cleaned(text: str) -> str:
    """Return the text in one line, without signs that nobody sees."""
    seen = "".join(sign for sign in text if sign.isspace() or unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co", "Cn"})
    return " ".join(seen.split())


def preview(*, key: str, language: str, text: str, at: datetime) -> Letter:
    """Return an example letter with this passage in it, written with these words; nothing is read of anybody."""
    kind = SHOWN_IN.get(key) or next((k for k in MessageKind.values if key.endswith(f"_{k}")), MessageKind.CONFIRMATION)
    if key.endswith("_ask"):
        kind = MessageKind.REMINDER
    is_diary = key.endswith("_diary")
    if is_diary:
        kind = MessageKind.FOLLOW_UP
    own = {pair: row.text for pair, row in changed().items()}
    message = Message(kind=kind, version=1, appointment=_example(key, at), patient=_somebody(language))
    known = Known(
        link=LINK, unsubscribe=LINK, asks=key in {"ask", "subject_reminder_ask", "opening_reminder_ask"},
        is_question=key.endswith("_ask"),
        has_plan=key == "medicines_ready", is_diary=is_diary,
        old_arrives_at=message.appointment.arrives_at - timedelta(days=2, hours=1),
        old_place=_SITE["name"],
        own={**own, (key, language): text},
    )  # fmt: skip
    return letters.write(message, at=at, known=known)


_SITE = {"name": "Northside", "slug": "northside", "time_zone": "America/New_York", "address": "1 Elm Street",
         "directions": "Second floor, lift on the left.", "directions_es": "Segundo piso, ascensor a la izquierda.",
         "phone": "+1 518 555 0100",
         "email": "desk@northside.example"}  # fmt: skip


def _somebody(language: str) -> Patient:
    return Patient(
        first_name="Alex", last_name="Example", birth_date=date(1960, 1, 1), language=language, email="alex@example.org"
    )


def _example(key: str, at: datetime) -> Appointment:
    is_plain = key in {"fasting_none", "driver_unsure"}
    driver = Driver.REQUIRED_IF_SEDATED if key == "driver_unsure" else Driver.REQUIRED
    day = (at + timedelta(days=10)).astimezone(ZoneInfo(_SITE["time_zone"])).replace(hour=10, minute=0, second=0, microsecond=0)
    if day.isoweekday() > 5:
        day += timedelta(days=8 - day.isoweekday())
    return Appointment(
        site=Site(**_SITE), procedure=Procedure(name="Example", driver=driver), sedation="none" if is_plain else "moderate",
        status="confirmed" if key == "manage_confirmed" else "booked", arrives_at=day, starts_at=day + timedelta(minutes=15),
        ends_at=day + timedelta(minutes=45), leaves_at=day + timedelta(minutes=75),
    )  # fmt: skip


def _write(key: str, language: str, text: str, version: int, by: Actor, at: datetime, act: str) -> Wording:
    newest = current(key, language)
    there = newest.version if newest else 0
    if there != version:
        raise WordingStale(there)

    def stale() -> DomainError:
        return WordingStale(there + 1)

    with translated({"wording_version_once": stale}), transaction.atomic():
        made = Wording.objects.create(
            key=key, language=language, version=version + 1, text=text, made_at=at, made_by_id=by.user_id
        )
        trail.record(by=by, act=act, details={"passage": key, "language": language, "version": made.version})
    return made


def _named(names: list[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
