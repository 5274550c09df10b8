"""The calendar file of a visit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import vobject
from icalendar import Calendar

from scheduling.calendars import Visit, calendar_file, cleaned
from tests.factories import local

NEW_YORK = ZoneInfo("America/New_York")

VISIT = Visit(
    uid="0f0e0d0c-0b0a-4908-8706-050403020100",
    sequence=0,
    is_cancelled=False,
    starts_at=local(date(2026, 11, 26), "7:45"),
    ends_at=local(date(2026, 11, 26), "9:15"),
    zone="America/New_York",
    summary="Visit: Northside",
    description="Please arrive at: 7:45 a.m.\nTelephone: +1 212 555 0100",
    location="Northside, 1 Elm Street",
    organizer_name="Northside",
    organizer_email="appointments@clinic.example",
    attendee_email="vera@example.org",
    stamped_at=datetime(2026, 11, 24, 12, 0, 30, 500000, tzinfo=UTC),
)


def event_of(visit: Visit) -> dict:
    return Calendar.from_ical(calendar_file(visit)).walk("VEVENT")[0]


def lines_of(visit: Visit) -> list[str]:
    return calendar_file(visit).decode().replace("\r\n ", "").split("\r\n")


def test_the_whole_file_is_as_expected() -> None:
    event = [line for line in lines_of(VISIT) if line]
    event = event[event.index("BEGIN:VEVENT") : event.index("END:VEVENT")]

    assert sorted(event) == sorted([
        "BEGIN:VEVENT",
        "SUMMARY:Visit: Northside",
        "DTSTART;TZID=America/New_York:20261126T074500",
        "DTEND;TZID=America/New_York:20261126T091500",
        "DTSTAMP:20261124T120030Z",
        "UID:0f0e0d0c-0b0a-4908-8706-050403020100",
        "SEQUENCE:0",
        "ATTENDEE;PARTSTAT=NEEDS-ACTION;ROLE=REQ-PARTICIPANT;RSVP=FALSE:mailto:vera@example.org",
        "CLASS:PRIVATE",
        "DESCRIPTION:Please arrive at: 7:45 a.m.\\nTelephone: +1 212 555 0100",
        "LOCATION:Northside\\, 1 Elm Street",
        "ORGANIZER;CN=Northside:mailto:appointments@clinic.example",
        "STATUS:CONFIRMED",
        "TRANSP:OPAQUE",
    ])  # fmt: skip


def test_the_calendar_says_request_and_brings_its_zone() -> None:
    calendar = Calendar.from_ical(calendar_file(VISIT))

    assert (calendar["method"], calendar["version"]) == ("REQUEST", "2.0")
    assert [zone["tzid"] for zone in calendar.walk("VTIMEZONE")] == ["America/New_York"]


def test_invite_move_and_cancel_share_the_uid_and_count_up() -> None:
    moved = replace(VISIT, sequence=1, starts_at=VISIT.starts_at + timedelta(hours=2), ends_at=VISIT.ends_at + timedelta(hours=2))
    cancelled = replace(moved, sequence=2, is_cancelled=True)
    events = [event_of(visit) for visit in (VISIT, moved, cancelled)]

    assert {str(event["uid"]) for event in events} == {VISIT.uid}
    assert [event["sequence"] for event in events] == [0, 1, 2]
    assert [str(event["status"]) for event in events] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert Calendar.from_ical(calendar_file(cancelled))["method"] == "CANCEL"


@pytest.mark.parametrize(
    ("zone", "day", "clock"),
    [
        ("America/New_York", date(2026, 11, 1), "8:00"),
        ("America/New_York", date(2027, 3, 14), "8:00"),
        ("America/Phoenix", date(2027, 3, 14), "8:00"),
        ("Australia/Lord_Howe", date(2027, 4, 4), "8:00"),
        ("Europe/Madrid", date(2026, 10, 25), "8:00"),
    ],
)
def test_wall_time_and_instant_are_right_on_clock_change_days(zone: str, day: date, clock: str) -> None:
    starts = local(day, clock, ZoneInfo(zone))
    event = event_of(replace(VISIT, zone=zone, starts_at=starts, ends_at=starts + timedelta(hours=1)))
    read = event["dtstart"].dt

    assert (read.hour, read.minute, read.astimezone(UTC)) == (8, 0, starts)


@pytest.mark.parametrize("fold", [0, 1])
def test_the_repeated_hour_is_told_as_the_right_instant(fold: int) -> None:
    starts = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=fold).astimezone(UTC)
    event = event_of(replace(VISIT, starts_at=starts, ends_at=starts + timedelta(minutes=20)))

    assert event["dtstart"].dt.astimezone(UTC) == starts
    assert event["dtend"].dt.astimezone(UTC) == starts + timedelta(minutes=20)


def test_vtimezone_changes_on_the_right_days() -> None:
    """A reader that trusts the file's own zone, not its own data, must get the same instants."""
    text = calendar_file(VISIT).decode()

    assert "TZOFFSETTO:-0500" in text
    assert "TZOFFSETTO:-0400" in text
    assert text.count("BEGIN:VTIMEZONE") == 1


@pytest.mark.parametrize(
    "evil",
    ["A\nATTACH:https://evil.example", "A\r\nATTACH:https://evil.example", "A\rATTACH:x", "A\u2028ATTACH:x", "A\x00ATTACH:x"],
)
@pytest.mark.parametrize("field", ["summary", "description", "location", "organizer_name", "organizer_email", "attendee_email"])
def test_no_text_makes_a_new_property(field: str, evil: str) -> None:
    lines = lines_of(replace(VISIT, **{field: evil}))

    assert [line for line in lines if line.startswith(("ATTACH", "EVIL"))] == []
    assert Calendar.from_ical(calendar_file(replace(VISIT, **{field: evil}))).walk("VEVENT")[0].get("attach") is None


def test_separators_quotes_and_other_scripts_come_back_as_they_were() -> None:
    text = 'Ärzte; O\'Brien, "Elm": 3\\4, مرحبا 🙂 ' + "x" * 200
    event = event_of(replace(VISIT, summary=text, location=text, organizer_name='Elm "North"; a,b:c'))

    assert str(event["summary"]) == text
    assert str(event["location"]) == text
    assert event["organizer"].params["cn"] == "Elm 'North'; a,b:c"


def test_no_line_is_longer_than_75_octets() -> None:
    raw = calendar_file(replace(VISIT, summary="é" * 300))

    assert max(len(line) for line in raw.split(b"\r\n")) <= 75
    assert raw.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_cleaned_drops_what_turns_or_controls() -> None:
    assert cleaned("Ve\u202era\x07\r\nBcc: x") == "Vera Bcc: x"
    assert cleaned("one\r\ntwo", keep_lines=True) == "one\ntwo"


# --- three readers -----------------------------------------------------------------------------------------------------


def by_icalendar(raw: bytes) -> dict[str, object]:
    calendar = Calendar.from_ical(raw)
    event = calendar.walk("VEVENT")[0]
    return {
        "method": str(calendar["METHOD"]), "uid": str(event["UID"]), "sequence": int(event["SEQUENCE"]),
        "status": str(event["STATUS"]), "starts": event.decoded("DTSTART").astimezone(UTC),
        "ends": event.decoded("DTEND").astimezone(UTC), "summary": str(event["SUMMARY"]),
        "description": str(event["DESCRIPTION"]), "location": str(event["LOCATION"]), "events": len(calendar.walk("VEVENT")),
    }  # fmt: skip


def by_vobject(raw: bytes) -> dict[str, object]:
    calendar = vobject.readOne(raw.decode())
    event = calendar.vevent
    return {
        "method": calendar.method.value, "uid": event.uid.value, "sequence": int(event.sequence.value),
        "status": event.status.value, "starts": event.dtstart.value.astimezone(UTC), "ends": event.dtend.value.astimezone(UTC),
        "summary": event.summary.value, "description": event.description.value, "location": event.location.value,
        "events": len(calendar.vevent_list),
    }  # fmt: skip


def by_hand(raw: bytes) -> dict[str, object]:
    """Read as RFC 5545 says, without a library: unfold, split at the first colon outside quotes, unescape."""
    lines = raw.decode().replace("\r\n ", "").split("\r\n")
    event = lines[lines.index("BEGIN:VEVENT") : lines.index("END:VEVENT")]

    def value(name: str, among: list[str] = event) -> str:
        found = [line for line in among if line.partition(":")[0].partition(";")[0] == name]
        assert len(found) == 1, (name, found)
        return found[0].partition(":")[2]

    def text(name: str) -> str:
        marked = value(name).replace("\\\\", "\x00")
        return marked.replace("\\n", "\n").replace("\\,", ",").replace("\\;", ";").replace("\x00", "\\")

    def moment(name: str) -> datetime:
        zone = next((line.partition("TZID=")[2].partition(":")[0] for line in event if line.startswith(f"{name};TZID=")), "")
        wall = datetime.strptime(value(name).rstrip("Z"), "%Y%m%dT%H%M%S")
        return wall.replace(tzinfo=ZoneInfo(zone) if zone else UTC).astimezone(UTC)

    return {
        "method": value("METHOD", lines), "uid": value("UID"), "sequence": int(value("SEQUENCE")), "status": value("STATUS"),
        "starts": moment("DTSTART"), "ends": moment("DTEND"), "summary": text("SUMMARY"), "description": text("DESCRIPTION"),
        "location": text("LOCATION"), "events": lines.count("BEGIN:VEVENT"),
    }  # fmt: skip


READERS = (by_icalendar, by_vobject, by_hand)
HOURS = timedelta(hours=1)
LIFE = (
    VISIT,
    replace(VISIT, sequence=1, starts_at=VISIT.starts_at + 2 * HOURS, ends_at=VISIT.ends_at + 2 * HOURS),
    replace(VISIT, sequence=2, is_cancelled=True),
)


@pytest.mark.parametrize("reader", READERS)
def test_three_readers_agree_on_invite_move_and_cancel(reader: Callable[[bytes], dict[str, object]]) -> None:
    told = [reader(calendar_file(visit)) for visit in LIFE]
    assert told == [by_hand(calendar_file(visit)) for visit in LIFE]
    assert [one["uid"] for one in told] == [VISIT.uid] * 3
    assert [(one["sequence"], one["method"], one["status"]) for one in told] == [
        (0, "REQUEST", "CONFIRMED"), (1, "REQUEST", "CONFIRMED"), (2, "CANCEL", "CANCELLED"),
    ]  # fmt: skip
    assert [one["starts"] for one in told] == [visit.starts_at for visit in LIFE]


HOSTILE = (
    "Elm; Oak, Ash: 1\\2\\n3",
    "BEGIN:VEVENT",
    "END:VCALENDAR",
    "\\",
    "a\\,b\\;c\\\\n",
    "é" * 200,
    "مرحبا, 你好; 🙂" * 12,
    "quote \" and ' and ^n",
    "two\nlines: of\r\nDTSTART:19700101T000000Z",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("reader", READERS)
def test_three_readers_get_hostile_text_back_as_text(reader: Callable[[bytes], dict[str, object]], text: str) -> None:
    told = reader(calendar_file(replace(VISIT, summary=text, description=text, location=text)))
    assert told["summary"] == told["location"] == cleaned(text)
    assert told["description"] == cleaned(text, keep_lines=True)
    assert (told["events"], told["starts"]) == (1, VISIT.starts_at)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fold", [0, 1])
def test_three_readers_agree_on_the_repeated_hour(reader: Callable[[bytes], dict[str, object]], fold: int) -> None:
    starts = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=fold).astimezone(UTC)
    assert reader(calendar_file(replace(VISIT, starts_at=starts, ends_at=starts + HOURS / 3)))["starts"] == starts


def test_published_file_is_the_same_event_and_invites_nobody() -> None:
    raw = calendar_file(replace(VISIT, is_published=True, attendee_email=""))
    assert by_vobject(raw) == {**by_vobject(calendar_file(VISIT)), "method": "PUBLISH"}
    assert b"ATTENDEE" not in raw


def test_round_trip_through_both_libraries_loses_nothing() -> None:
    raw = calendar_file(VISIT)
    assert by_icalendar(Calendar.from_ical(raw).to_ical()) == by_icalendar(raw)
    assert by_icalendar(vobject.readOne(raw.decode()).serialize().encode()) == by_icalendar(raw)
