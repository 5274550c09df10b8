"""Three invented people whom every demo clinic has, to try the page of a patient on: found by their last name, Storyline.

Nell is new: a referral, a first case, little asked yet. Theo has had thirty procedures in five years, with all that follows from
them. Mabel comes every few weeks and has been sent more than two hundred messages.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pain_clinic.accounts.models import Site, User
from procedures.levels import levels_offered, regions_offered
from scheduling.demo.cases import Case, Packer, Tale
from scheduling.demo.days import Calendar, local_date
from scheduling.demo.facts import Written
from scheduling.demo.histories import recorded
from scheduling.demo.people import Person
from scheduling.demo.writing import copy
from scheduling.models import (
    Appointment,
    CadenceStep,
    Link,
    LinkAnswer,
    LinkPurpose,
    Message,
    MessageKind,
    MessageState,
    Status,
)

LAST_NAME = "Storyline"
NELL, THEO, MABEL = "Nell", "Theo", "Mabel"
CAST = ((NELL, date(1979, 5, 17), "female", "Bluewater Health"), (THEO, date(1961, 2, 8), "male", "Lakeland Plan"),
        (MABEL, date(1986, 10, 3), "female", "Harbour Mutual"))  # fmt: skip
TRIED = 12  # days after the wanted one on which a case may be placed
YEARS = 5
EVERY = 39  # days between Mabel's visits
FOUR, FIVE, THREE_JOINTS = ("L4-L5",), ("L5-S1",), ("L3-L4", "L4-L5", "L5-S1")
KEPT_BACK = frozenset({3, 17, 29})  # which of Mabel's visits came to nothing


class Beat(NamedTuple):
    """One session: how many days ago, what, where, and how it went."""

    ago: int
    code: str
    levels: tuple[str, ...]
    side: str
    pain: float
    relief: float
    days: float
    harm: str = ""


THEOS = (
    Beat(1788, "esi_il_lumbar", FIVE, "midline", 8, 45, 25),
    Beat(1702, "esi_tf_lumbar", FOUR, "left", 8, 78, 112),
    Beat(1561, "esi_tf_lumbar", FOUR, "left", 8, 72, 96, "vasovagal"),
    Beat(1442, "esi_tf_lumbar", FIVE, "left", 7, 38, 20),
    Beat(1372, "mbb_lumbar", THREE_JOINTS, "right", 7, 92, 0.5),
    Beat(1338, "mbb_lumbar", THREE_JOINTS, "right", 7, 88, 0.4),
    Beat(1301, "rfa_facet_lumbar", THREE_JOINTS, "right", 8, 82, 262),
    Beat(1241, "tpi", (), "left", 6, 55, 26),
    Beat(1181, "esi_tf_lumbar", FOUR, "left", 8, 75, 104),
    Beat(1121, "si_joint_ia", (), "left", 7, 70, 61),
    Beat(1061, "esi_tf_lumbar", FOUR, "left", 7, 70, 92),
    Beat(988, "rfa_facet_lumbar", THREE_JOINTS, "right", 8, 80, 271),
    Beat(941, "tpi", (), "left", 6, 30, 10),
    Beat(899, "esi_tf_lumbar", FIVE, "left", 8, 42, 30),
    Beat(821, "esi_tf_lumbar", FOUR, "left", 8, 74, 99, "headache"),
    Beat(760, "si_joint_ia", (), "left", 7, 68, 58),
    Beat(691, "rfa_facet_lumbar", THREE_JOINTS, "right", 7, 78, 255),
    Beat(641, "esi_tf_lumbar", FOUR, "left", 7, 72, 90),
    Beat(561, "tpi", (), "left", 6, 58, 30),
    Beat(521, "si_joint_ia", (), "left", 7, 66, 55),
    Beat(470, "genicular_block", (), "right", 8, 85, 0.6),
    Beat(442, "genicular_block", (), "right", 8, 90, 0.7),
    Beat(419, "genicular_rfa", (), "right", 8, 76, 214),
    Beat(399, "esi_tf_lumbar", FOUR, "left", 7, 70, 88),
    Beat(379, "rfa_facet_lumbar", THREE_JOINTS, "right", 7, 77, 248),
    Beat(301, "si_joint_ia", (), "left", 7, 64, 52),
    Beat(211, "esi_tf_lumbar", FOUR, "left", 7, 71, 86, "steroid_effect"),
    Beat(151, "occipital_block", (), "left", 6, 60, 31),
    Beat(96, "esi_tf_lumbar", FOUR, "left", 7, 68, 160),
    Beat(61, "rfa_facet_lumbar", THREE_JOINTS, "right", 7, 81, 260),
)
# What comes next, in days from now.
COMING = {NELL: ((6, "esi_tf_lumbar", FIVE, "right"),), THEO: ((19, "esi_tf_lumbar", FOUR, "left"),),
          MABEL: ((4, "tpi", (), "right"),)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stories:
    """The three, by first name."""

    people: Mapping[str, Person]

    @property
    def cast(self) -> tuple[Person, ...]:
        return tuple(self.people.values())

    @property
    def keys(self) -> frozenset[int]:
        return frozenset(person.key for person in self.people.values())


def cast_of(*, keys: Sequence[int], site: int, rng: random.Random, at: datetime) -> Stories:
    """Return the three people; their home is one site."""
    people = {
        first: Person(
            key=key, public_id=uuid.UUID(int=rng.getrandbits(128), version=4), first_name=first, last_name=LAST_NAME,
            birth_date=born, sex=sex, email=f"{first.lower()}.storyline@example.org", phone=f"+1212555018{place}", language="en",
            payer=payer, site=site, accepts_email=True, deceased_on=None, complaint=0, side="left", height=0.9,
            since=at - timedelta(days=9 if first == NELL else 365 * YEARS), busy=set(), is_told=True,
        )
        for place, ((first, born, sex, payer), key) in enumerate(zip(CAST, keys, strict=True))
    }  # fmt: skip
    return Stories(people)


def pack_stories(stories: Stories, packer: Packer, calendar: Calendar, site: Site, at: datetime) -> Iterator[Case]:
    """Yield their cases, placed before anybody else's: hours, rooms and privileges hold for them too."""
    today = local_date(site.time_zone, at)

    def placed(person: Person, ago: int, code: str, levels: tuple[str, ...], side: str, **more: bool) -> Case | None:
        for later in range(TRIED):
            on = today - timedelta(days=ago) + timedelta(days=later)
            if code not in packer.procedures or (on < today) != (ago > 0) or on in (person.busy or ()):
                continue
            case = packer.place(calendar.keep(site, on), person, packer.procedures[code], **more)
            if case is not None:
                _aim(case, levels, side)
                return case
        return None

    for beat in THEOS:
        case = placed(stories.people[THEO], beat.ago, beat.code, beat.levels, beat.side)
        if case is not None:
            case.tale = Tale(beat.pain, beat.relief, beat.days, beat.harm)
            yield case
    for place, ago in enumerate(range(365 * YEARS - 20, 20, -EVERY)):
        case = placed(stories.people[MABEL], ago, "tpi", (), "right", is_free=place in KEPT_BACK)
        if case is not None:
            case.tale = Tale(6 + place % 3, 52 + place % 5 * 6, 22 + place % 4 * 3)
            yield case
    for first, wanted in COMING.items():
        for ahead, code, levels, side in wanted:
            case = placed(stories.people[first], -ahead, code, levels, side)
            if case is not None:
                yield case


def _aim(case: Case, levels: tuple[str, ...], side: str) -> None:
    """Put a case where the story has it, as far as the work can be done there."""
    offered = {level for group in levels_offered(case.procedure) for level in group.levels}
    if levels and set(levels) <= offered:
        case.levels = list(levels)
    if side in case.procedure.laterality:
        case.side = side
    regions = regions_offered(case.procedure)
    if not offered and "lumbar" in regions:
        case.regions = ["lumbar"]


def tell_facts(stories: Stories, rows: Written, rng: random.Random, at: datetime) -> None:
    """Write what is known of them; of Nell some was never asked."""
    nurse = User.objects.get(username="nurse").pk
    today = at.date()

    def tell(first: str, table: list[tuple[object, ...]], ago: int, *values: object) -> None:
        told = at - timedelta(days=ago)
        table.append((*recorded(stories.people[first].key, told, nurse, rng), *values))

    def day(ago: int) -> date:
        return today - timedelta(days=ago)

    for topic in ("antithrombotics", "allergies"):
        tell(NELL, rows.asked, 8, topic, day(8))
    tell(NELL, rows.medicines, 8, "other", "", "Ibuprofen", "400 mg when needed", None, "", "", "", day(60), None, None)
    tell(THEO, rows.medicines, 900, "antithrombotic", "apixaban", "Apixaban", "5 mg twice a day", None, "atrial_fibrillation",
         "Dr. R. Vance", "+12125550144", day(900), None, None)  # fmt: skip
    steps = ((60, 1780, 1290), (40, 1290, 970), (30, 970, 680), (20, 680, 400), (10, 400, None))
    for amount, began, ended in steps:
        tell(THEO, rows.medicines, began, "opioid", "oxycodone", "Oxycodone", f"{amount} mg a day", amount, "", "", "",
             day(began), None, day(ended) if ended else None)  # fmt: skip
    tell(THEO, rows.medicines, 700, "other", "", "Duloxetine", "60 mg", None, "", "", "", day(700), None, None)
    tell(THEO, rows.allergies, 1780, "iodinated_contrast", "", "mild")
    tell(THEO, rows.conditions, 1200, "diabetes", "Type 2 diabetes", "E11.9", day(1200), None, None)
    for ago, value in ((820, 7.9), (400, 7.4), (40, 7.1)):
        tell(THEO, rows.labs, ago, "hba1c", value, day(ago))
    for topic in ("implants", "infection", "vaccines", "glp1"):
        tell(THEO, rows.asked, 40, topic, day(40))
    for topic in ("antithrombotics", "allergies", "conditions", "implants", "infection", "pregnancy", "vaccines", "glp1"):
        tell(MABEL, rows.asked, 40, topic, day(40))


def write_messages(stories: Stories, rng: random.Random, at: datetime) -> int:
    """Write the mails that Mabel was sent about her visits, with what she answered; return how many there are."""
    mabel = stories.people[MABEL]
    cases = list(
        Appointment.objects.filter(patient=mabel.key, starts_at__lt=at).select_related("site").order_by("starts_at", "pk")
    )
    codes: dict[str, list[str]] = {}
    steps = CadenceStep.objects.filter(site=None, procedure=None, family__in=("", "tpi")).order_by("position", "pk")
    for kind, code in steps.values_list("kind", "code"):
        codes.setdefault(kind, []).append(code)
    rows = [row for place, case in enumerate(cases) for row in _mails(case, place, codes, mabel, rng)]
    copy(Message, MAIL, rows)
    sent = Message.objects.filter(patient=mabel.key, kind=MessageKind.REMINDER, state=MessageState.SENT).order_by("pk")
    answered = [row for row in sent.values_list("pk", "appointment_id", "done_at") if rng.random() < 0.6]
    copy(
        Link,
        ("public_id", "digest", "purpose", "message", "appointment", "patient", "version", "calendar_sequence", "created_at",
         "answer", "answered_at", "wrong_proofs"),
        (
            (_key(rng), Link.digest_of(Link.make_secret()), LinkPurpose.VISIT, key, case, mabel.key, 1, 0, done,
             LinkAnswer.CONFIRMED, done + timedelta(hours=rng.randrange(1, 20)), 0)
            for key, case, done in answered
            if done is not None
        ),
    )  # fmt: skip
    return len(rows)


MAIL = ("public_id", "appointment", "patient", "kind", "step", "version", "state", "planned_at", "due_at", "priority", "attempts",
        "calendar_sequence", "reason", "subject", "text", "created_at", "done_at")  # fmt: skip


def _mails(
    case: Appointment, place: int, codes: Mapping[str, Sequence[str]], mabel: Person, rng: random.Random
) -> Iterator[tuple[object, ...]]:
    """Yield the mails about one visit, as the cadence would have sent them; now and then one did not leave."""
    reminders = codes.get(MessageKind.REMINDER, ())
    wanted = [(MessageKind.CONFIRMATION, "", case.created_at)]
    wanted += [
        (MessageKind.PREPARATION, code, case.starts_at - timedelta(days=7)) for code in codes.get(MessageKind.PREPARATION, ())[:1]
    ]
    wanted += [
        (MessageKind.REMINDER, code, case.starts_at - timedelta(days=days)) for code, days in zip(reminders, (3, 1), strict=False)
    ]
    if case.status == Status.DISCHARGED:
        wanted += [
            (MessageKind.FOLLOW_UP, code, case.starts_at + timedelta(days=14))
            for code in codes.get(MessageKind.FOLLOW_UP, ())[:1]
        ]
    elif case.status == Status.CANCELLED:
        wanted = [*wanted[:2], (MessageKind.CANCELLATION, "", case.cancelled_at or case.starts_at)]
    zone = ZoneInfo(case.zone)
    when = case.starts_at.astimezone(zone)
    day = f"{when:%A} {when.day} {when:%B}"
    for kind, step, moment in wanted:
        told = moment if kind in (MessageKind.CONFIRMATION, MessageKind.CANCELLATION) else _at(moment.date(), zone)
        fails = place % 11 == 6 and kind == MessageKind.PREPARATION
        state = MessageState.FAILED if fails else MessageState.SENT
        reason = "address_refused" if fails else ""
        said = TEXTS[kind].format(when=f"{day}, {when:%H:%M}")
        text = f"Hello {mabel.first_name},\n\n{said}\n\n{case.site.name}, {case.site.phone}"
        yield (
            _key(rng), case.pk, mabel.key, kind, step, 1, state, told if step else None, told, 5, 1, 0, reason,
            "" if fails else f"Your visit: {day}", "" if fails else text, case.created_at, told,
        )  # fmt: skip


TEXTS = {
    MessageKind.CONFIRMATION: "your visit is on {when}.",
    MessageKind.PREPARATION: "please read how to prepare for your visit on {when}.",
    MessageKind.REMINDER: "we expect you on {when}. Please tell us whether you will come.",
    MessageKind.FOLLOW_UP: "how have you been since your visit on {when}?",
    MessageKind.CANCELLATION: "your visit on {when} does not take place.",
}


def _key(rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=rng.getrandbits(128), version=4)


def _at(on: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(on, time(10), tzinfo=zone)
