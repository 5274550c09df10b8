"""Wall times that clocks skip or show twice, days of 23 and 25 hours, dates at the edges of zones. TRUST T1 to T4 and T9."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from pain_clinic import clock
from pain_clinic.accounts.actors import Actor
from patients.models import Patient
from patients.pages import age_on
from scheduling import booking, openings
from scheduling.forms import AbsenceForm
from scheduling.intervals import instant, window
from scheduling.models import Appointment, Block, BlockTime
from tests import factories
from tests.factories import CHICAGO, FALL_BACK, NEW_YORK, NOW, SPRING_FORWARD, SmallClinic, local

LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes by half an hour
DAYS = pytest.mark.parametrize("day", [SPRING_FORWARD, FALL_BACK], ids=["23 hours", "25 hours"])


@pytest.fixture(autouse=True)
def set_clock(settings: Any, tmp_path: Path) -> Callable[[datetime], None]:
    moved = tmp_path / "clock"

    def move(to: datetime) -> None:
        moved.write_text(str((to - datetime.now(tz=UTC)).total_seconds()), encoding="ascii")

    move(NOW)
    settings.CLINIC_CLOCK = str(moved)
    return move


@pytest.fixture
def clinic(db: None) -> SmallClinic:
    """Return a small clinic that also works on Sundays and through the night, and can follow one case with the next."""
    made = factories.small_clinic()
    made.procedure.needs.filter(kind__in=["nurse", "bay"]).delete()
    for one in made.resources:
        factories.weekly_hours(of=one, weekdays=[5, 6], starts="00:00", ends="23:55")
    factories.build_free_time()
    return made


@pytest.fixture
def desk_client(clinic: SmallClinic, signed_in: Callable[..., Client]) -> Client:
    return signed_in("desk", clinic.site)


def book(clinic: SmallClinic, by: Actor, starts_at: datetime, patient: Patient | None = None) -> Appointment:
    opening = openings.fit(procedure=clinic.procedure, starts_at=starts_at, site=clinic.site, at=NOW).opening
    assert opening is not None, starts_at
    return booking.book(
        patient=patient or factories.patient(home=clinic.site), procedure=clinic.procedure,
        target=booking.Target(side="left"), opening=opening, by=by, at=NOW,
    )  # fmt: skip


def through_api(client: Client, clinic: SmallClinic, starts_at: str) -> Any:
    body = {
        "patient": str(factories.patient(home=clinic.site).public_id),
        "procedure": clinic.procedure.code,
        "side": "right",
        "site": str(clinic.site.public_id),
        "starts_at": starts_at,
    }
    return client.post("/api/v1/appointments/", json.dumps(body), content_type="application/json")


def moving(client: Client, case: Appointment, **values: Any) -> Any:
    typed = {"version": case.version, "request_key": uuid.uuid4().hex, "act": "preview", **values}
    return client.post(f"/appointments/{case.public_id}/move/", typed)


# --- T1: the hour that is skipped ------------------------------------------------------------------------------------
def test_api_takes_no_wall_time_and_tells_the_wall_time_of_an_instant(clinic: SmallClinic, desk_client: Client) -> None:
    bare = through_api(desk_client, clinic, "2027-03-14T02:30:00")
    before = through_api(desk_client, clinic, "2027-03-14T01:30:00-05:00")
    after = through_api(desk_client, clinic, "2027-03-14T02:30:00-05:00")  # clocks show 3:30 then, and the answer says so

    assert (bare.status_code, "offset" in str(bare.json()["errors"]["starts_at"])) == (400, True)
    assert [(answer.status_code, answer.json()["local_time"], answer.json()["zone"]) for answer in (before, after)] == [
        (201, "01:30:00", "America/New_York"),
        (201, "03:30:00", "America/New_York"),
    ]
    assert after.json()["starts_at"] == "2027-03-14T07:30:00Z"


def test_move_page_refuses_a_time_that_is_skipped_and_says_so(clinic: SmallClinic, by: Actor, desk_client: Client) -> None:
    case = book(clinic, by, local(factories.TOMORROW, "9:00"))
    answers = [
        moving(desk_client, case, day="2027-03-14", time=typed, act=act)
        for typed in ("02:00", "02:55")
        for act in ("preview", "move")
    ]
    allowed = [moving(desk_client, case, day="2027-03-14", time=typed) for typed in ("01:00", "03:00")]

    assert {answer.status_code for answer in answers} == {422}
    assert all("this time does not exist" in answer.context["case"].move.refusal.message for answer in answers)
    assert [answer.status_code for answer in allowed] == [200, 200]
    case.refresh_from_db()
    assert (case.starts_at, case.version) == (local(factories.TOMORROW, "9:00"), 1)


@pytest.mark.parametrize(("field", "typed"), [("first_time", "02:30"), ("last_time", "02:55")])
def test_leave_refuses_a_time_that_is_skipped(clinic: SmallClinic, field: str, typed: str) -> None:
    user = factories.user(role="manager", sites=(clinic.site,))
    values = {
        "resource": clinic.physician.pk, "kind": "leave", "first_day": "2027-03-14", "first_time": "01:00",
        "last_day": "2027-03-14", "last_time": "05:00", field: typed,
    }  # fmt: skip
    form = AbsenceForm(values, user=user)

    assert not form.is_valid()
    assert form.errors == {field: [f"Clocks are put forward that night: there is no {typed} on that day."]}


def test_weekly_hours_that_begin_in_the_gap_begin_when_it_ends() -> None:
    hours = window(SPRING_FORWARD, time(2, 30), time(6), NEW_YORK)

    assert hours is not None
    assert (hours.starts_at, hours.ends_at) == (local(SPRING_FORWARD, "3:00"), local(SPRING_FORWARD, "6:00"))
    assert window(SPRING_FORWARD, time(2, 0), time(2, 55), NEW_YORK) is None


# --- T2: the hour that comes twice -----------------------------------------------------------------------------------
def test_the_two_equal_hours_are_two_slots_and_each_page_names_which(clinic: SmallClinic, by: Actor, desk_client: Client) -> None:
    first, second = (through_api(desk_client, clinic, f"2026-11-01T0{hour}:30:00Z") for hour in (5, 6))
    shown = [desk_client.get(f"/appointments/{answer.json()['id']}/") for answer in (first, second)]
    board = desk_client.get("/board/?day=2026-11-01")

    assert (first.status_code, second.status_code) == (201, 201)
    assert {answer.json()["local_time"] for answer in (first, second)} == {"01:30:00"}
    for page, told in zip(shown, ("1:30 EDT", "1:30 EST"), strict=True):
        assert clock.wall(page.context["case"].starts_at) == told
        assert f"Nov {told} to " in page.content.decode() or f"2026 {told} to " in page.content.decode()
    bars = [bar for column in board.context["board"].columns for bar in column.bars]
    assert [bar.slot for bar in sorted(bars, key=lambda bar: bar.slot)] == [18, 30]


def test_move_page_takes_the_first_of_two_equal_hours_says_so_and_keeps_the_second_when_it_was_meant(
    clinic: SmallClinic, by: Actor, desk_client: Client
) -> None:
    case = book(clinic, by, local(factories.TOMORROW, "9:00"))
    typed = moving(desk_client, case, day="2026-11-01", time="01:30").context["case"].move
    pressed = moving(desk_client, case, at="2026-11-01T01:30:00-05:00").context["case"].move
    done = moving(desk_client, case, day=pressed.day, time=pressed.time, later="1", act="move", reason="other")
    case.refresh_from_db()

    assert (typed.preview.starts_at.astimezone(UTC).hour, typed.later) == (5, False)
    assert "Sun 1 Nov 1:30 EDT" in typed.button
    assert (pressed.preview.starts_at.astimezone(UTC).hour, pressed.later) == (6, True)
    assert "Sun 1 Nov 1:30 EST" in pressed.button
    assert done.status_code == 303, done.context["case"].move.refusal
    assert case.starts_at == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert desk_client.get(f"/appointments/{case.public_id}/move/").context["case"].move.later


def test_leave_covers_both_of_two_equal_hours(clinic: SmallClinic) -> None:
    user = factories.user(role="manager", sites=(clinic.site,))
    form = AbsenceForm(
        {
            "resource": clinic.physician.pk, "kind": "leave", "first_day": "2026-11-01", "first_time": "01:00",
            "last_day": "2026-11-01", "last_time": "01:30",
        },
        user=user,
    )  # fmt: skip

    assert form.is_valid(), form.errors
    assert form.cleaned_data["starts_at"] == datetime(2026, 11, 1, 5, 0, tzinfo=UTC)
    assert form.cleaned_data["ends_at"] == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def test_only_an_hour_that_comes_twice_is_shown_with_its_zone() -> None:
    hours = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC).astimezone(NEW_YORK) for hour in (4, 5, 6, 7)]
    skipped = [datetime(2027, 3, 14, hour, 30, tzinfo=UTC).astimezone(NEW_YORK) for hour in (6, 7)]
    half = [datetime(2027, 4, 3, 14, minute, tzinfo=UTC).astimezone(LORD_HOWE) for minute in (15, 45)]

    assert [clock.wall(one) for one in hours] == ["0:30", "1:30 EDT", "1:30 EST", "2:30"]
    assert [clock.wall(one) for one in skipped] == ["1:30", "3:30"]
    assert [clock.wall(one) for one in half] == ["1:15", "1:45 +11"]
    assert clock.wall(datetime(2026, 11, 1, 1, 30)) == "1:30"


# --- T3: the same time every week ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("first", "offsets"), [(date(2026, 10, 20), (4, 4, 5, 5)), (date(2027, 3, 2), (5, 5, 4, 4))])
def test_a_weekly_nine_o_clock_is_nine_on_the_wall_over_a_change(
    clinic: SmallClinic, by: Actor, desk_client: Client, first: date, offsets: tuple[int, ...]
) -> None:
    days = [first + timedelta(days=7 * number) for number in range(4)]
    cases = [book(clinic, by, instant(day, time(9), NEW_YORK), clinic.patient) for day in days]
    bars = [desk_client.get(f"/board/?day={day}").context["board"].columns[0].bars[0] for day in days]

    assert [case.starts_at.hour for case in cases] == [9 + offset for offset in offsets]
    assert [(case.local_date, case.local_time) for case in cases] == [(day, time(9)) for day in days]
    assert [f"{bar.starts_at:%Y-%m-%d %H:%M}" for bar in bars] == [f"{day} 09:00" for day in days]
    found = openings.find_openings(
        procedure=clinic.procedure, at=NOW, earliest=local(days[0], "9:30"), latest=local(days[3] + timedelta(days=1), "0:00"),
        weekdays=[days[0].weekday()], part_of_day=(time(10), time(11)), limit=10, per_day=1,
    )  # fmt: skip
    assert [f"{one.starts_at.astimezone(NEW_YORK):%H:%M}" for one in found.openings] == ["10:00"] * 4


def test_a_weekly_block_keeps_its_wall_time_over_a_change(clinic: SmallClinic) -> None:
    Block.objects.create(
        name="Stimulators", resource=clinic.physician, site=clinic.site, weekday=1, starts=time(13), ends=time(15),
        valid_from=date(2026, 10, 20), valid_until=date(2026, 11, 10), family="scs", release_days=2,
    )  # fmt: skip
    factories.build_free_time()
    rows = BlockTime.objects.order_by("starts_at")

    assert [f"{row.starts_at.astimezone(NEW_YORK):%d %H:%M}" for row in rows] == ["20 13:00", "27 13:00", "03 13:00", "10 13:00"]
    assert [f"{row.releases_at.astimezone(NEW_YORK):%d %H:%M}" for row in rows] == [
        "18 00:00",
        "25 00:00",
        "01 00:00",
        "08 00:00",
    ]


# --- T4: days of 23 and 25 hours -------------------------------------------------------------------------------------
def whole_day(clinic: SmallClinic, day: date) -> list[Appointment]:
    """Return one case in each hour of a day as it passes, past the booking verb, first to last."""
    moment, cases = instant(day, time(0), NEW_YORK), []
    while moment < instant(day + timedelta(days=1), time(0), NEW_YORK):
        who = factories.patient(home=clinic.site)
        case = factories.appointment(
            of=who,
            at_site=clinic.site,
            for_procedure=clinic.procedure,
            starts_at=moment + timedelta(minutes=20),
            ends_at=moment + timedelta(minutes=50),
            resources=[clinic.physician, clinic.room],
        )
        cases.append(case)
        moment += timedelta(hours=1)
    return cases


@DAYS
def test_board_shows_every_visit_of_a_short_and_a_long_day_once(clinic: SmallClinic, desk_client: Client, day: date) -> None:
    cases = whole_day(clinic, day)
    wanted = sorted(case.public_id for case in cases)
    around = [desk_client.get(f"/board/?day={day + timedelta(days=step)}").context["board"] for step in (-1, 1)]
    by = {name: desk_client.get(f"/board/?day={day}&by={name}").context["board"] for name in ("physician", "room")}
    listed = desk_client.get(f"/board/?day={day}&view=list").context["board"]
    week = desk_client.get(f"/board/?day={day}&view=week").context["board"]

    assert len(cases) == (23 if day == SPRING_FORWARD else 25)
    assert [shown.count for shown in around] == [0, 0]
    for shown in by.values():
        bars = [bar for column in shown.columns for bar in column.bars]
        assert sorted(bar.public_id for bar in bars) == wanted
        assert len({bar.slot for bar in bars}) == len(cases)
        assert shown.count == len(cases)
    assert sorted(bar.public_id for bar in listed.cases) == wanted
    assert [bar.public_id for bar in listed.cases] == [case.public_id for case in cases]  # in the order in which they pass
    in_week = [chip.public_id for row in week.rows for cell in row.cells for chip in cell.chips]
    assert sorted(in_week) == wanted
    assert [one.count for one in week.week_days if one.day == day] == [len(cases)]


@DAYS
def test_home_counts_every_visit_of_a_short_and_a_long_day(
    clinic: SmallClinic, desk_client: Client, set_clock: Callable[[datetime], None], day: date
) -> None:
    cases = whole_day(clinic, day)
    for moment in (instant(day, time(0, 1), NEW_YORK), instant(day, time(23, 55), NEW_YORK)):
        set_clock(moment)
        home = factories_client(clinic).get("/").context["home"]
        assert home.counts[0].number == len(cases), moment


def factories_client(clinic: SmallClinic) -> Client:
    client = Client()
    client.force_login(factories.user(role="desk", sites=(clinic.site,)))
    return client


# --- T9: dates -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York", "Pacific/Pago_Pago"])
def test_a_birth_date_is_the_same_day_in_every_zone_and_way_in_and_out(
    db: None, zone: str, signed_in: Callable[..., Client]
) -> None:
    site = factories.site(time_zone=zone)
    client = signed_in("desk", site)
    leap = date(1960, 2, 29)
    body = {
        "last_name": "Leap", "first_name": "Ann", "birth_date": leap.isoformat(), "sex": "female",
        "home_site": str(site.public_id),
    }  # fmt: skip
    made = client.post("/api/v1/patients/", json.dumps(body), content_type="application/json")
    assert made.status_code == 201, made.content
    read = client.get(f"/api/v1/patients/{made.json()['id']}/").json()
    page = client.get(f"/patients/{made.json()['id']}/").content.decode()

    assert (made.json()["birth_date"], read["birth_date"]) == ("1960-02-29", "1960-02-29")
    assert Patient.objects.get(public_id=made.json()["id"]).birth_date == leap
    assert "29 Feb 1960" in page or "29 February 1960" in page or "1960-02-29" in page


def test_a_year_of_life_is_full_on_the_birthday_and_for_a_leap_day_on_the_first_of_march() -> None:
    assert [age_on(date(1960, 2, 29), day) for day in (date(2026, 2, 28), date(2026, 3, 1), date(2028, 2, 29))] == [65, 66, 68]
    assert [age_on(date(1958, 12, 31), day) for day in (date(2026, 12, 30), date(2026, 12, 31))] == [67, 68]


@pytest.mark.parametrize(
    ("zone", "utc", "local_day"),
    [
        (NEW_YORK, datetime(2027, 1, 1, 4, 30, tzinfo=UTC), date(2026, 12, 31)),
        (CHICAGO, datetime(2027, 1, 1, 5, 30, tzinfo=UTC), date(2026, 12, 31)),
        (NEW_YORK, datetime(2027, 1, 1, 5, 30, tzinfo=UTC), date(2027, 1, 1)),
        (LORD_HOWE, datetime(2026, 12, 31, 13, 30, tzinfo=UTC), date(2027, 1, 1)),
    ],
)
def test_today_is_the_sites_own_day_around_midnight_and_new_year(
    db: None,
    signed_in: Callable[..., Client],
    set_clock: Callable[[datetime], None],
    zone: ZoneInfo,
    utc: datetime,
    local_day: date,
) -> None:
    site = factories.site(time_zone=zone.key)
    case = factories.appointment(at_site=site, starts_at=utc - timedelta(minutes=25))
    set_clock(utc)
    client = signed_in("desk", site)
    board = client.get("/board/").context["board"]
    week = client.get("/board/?view=week").context["board"]

    assert (board.day, board.count) == (local_day, 1)
    assert case.local_date == local_day
    assert [one.day for one in week.week_days if one.is_today] == [local_day]
    assert week.week_days[0].day.isocalendar()[:2] == local_day.isocalendar()[:2]  # a week does not end with the year
    assert client.get("/").context["home"].counts[0].number == 1
