"""Free time says what hours, absences, closures and allocations come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scheduling import free_time
from scheduling.intervals import Interval, from_bits, unpack
from scheduling.models import Absence, Allocation, Block, BlockTime, Closure, DatedHours, FreeTime, Kind, Resource, Travel
from tests import factories
from tests.factories import FALL_BACK, NOW, SPRING_FORWARD, TODAY, TOMORROW, SmallClinic, local

DAY = timedelta(days=1)


def free_on(resource: Resource, day: date, site: object = None) -> list[tuple[datetime, datetime]]:
    row = FreeTime.objects.get(resource=resource, site=site or resource.site, day=day)
    return [(each.starts_at, each.ends_at) for each in from_bits(unpack(row.bits), day)]


def from_to(day: date, *clocks: str) -> list[tuple[datetime, datetime]]:
    return [(local(day, start), local(day, end)) for start, end in zip(clocks[::2], clocks[1::2], strict=True)]


def test_rebuild_keeps_rows_for_every_day_of_the_horizon(clinic: SmallClinic) -> None:
    first, last = free_time.horizon(TODAY)

    days = list(FreeTime.objects.filter(resource=clinic.room).order_by("day").values_list("day", flat=True))

    assert days == [first + offset * DAY for offset in range((last - first).days + 1)]


def test_rebuild_says_working_hours_in_wall_time_on_both_sides_of_a_clock_change(clinic: SmallClinic) -> None:
    before, after = FALL_BACK - 2 * DAY, FALL_BACK + DAY

    assert free_on(clinic.room, before) == from_to(before, "8:00", "17:00")
    assert free_on(clinic.room, after) == from_to(after, "8:00", "17:00")
    assert free_on(clinic.room, FALL_BACK) == []


def test_rebuild_gives_a_night_shift_23_and_25_hours(db: None) -> None:
    room = factories.resource(kind=Kind.ROOM)
    factories.weekly_hours(of=room, weekdays=[6], starts="00:00", ends="06:00")
    factories.build_free_time(at=datetime(2026, 10, 20, tzinfo=UTC))

    assert free_on(room, FALL_BACK) == [(datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 1, 11, tzinfo=UTC))]
    assert free_on(room, SPRING_FORWARD) == [(datetime(2027, 3, 14, 5, tzinfo=UTC), datetime(2027, 3, 14, 10, tzinfo=UTC))]


def test_rebuild_takes_out_breaks_absences_and_allocations(clinic: SmallClinic) -> None:
    factories.weekly_hours(of=clinic.nurse, starts="12:00", ends="12:30", kind="break")
    Absence.objects.create(resource=clinic.nurse, starts_at=local(TOMORROW, "15:58"), ends_at=local(TOMORROW, "16:02"))
    Absence.objects.create(
        resource=clinic.nurse, starts_at=local(TOMORROW, "9:00"), ends_at=local(TOMORROW, "10:00"), withdrawn_at=NOW
    )
    factories.appointment(at_site=clinic.site, of=clinic.patient, starts_at=local(TOMORROW, "10:00"), resources=[clinic.nurse])
    cancelled = {"of": clinic.patient, "at_site": clinic.site, "status": "cancelled", "resources": [clinic.nurse]}
    factories.appointment(**cancelled, starts_at=local(TOMORROW, "13:00"))

    free_time.rebuild(at=NOW, resources=[clinic.nurse.pk])

    expected = from_to(TOMORROW, "8:00", "10:00", "10:30", "12:00", "12:30", "15:55", "16:05", "17:00")
    assert free_on(clinic.nurse, TOMORROW) == expected


def test_rebuild_lets_dated_hours_replace_those_of_the_week(clinic: SmallClinic) -> None:
    DatedHours.objects.create(resource=clinic.nurse, site=clinic.site, date=TOMORROW, starts=time(10), ends=time(11))
    DatedHours.objects.create(resource=clinic.nurse, site=clinic.site, date=TOMORROW, starts=time(13), ends=time(14))
    DatedHours.objects.create(resource=clinic.nurse, site=clinic.site, date=TOMORROW + DAY)

    free_time.rebuild(at=NOW, resources=[clinic.nurse.pk])

    assert free_on(clinic.nurse, TOMORROW) == from_to(TOMORROW, "10:00", "11:00", "13:00", "14:00")
    assert free_on(clinic.nurse, TOMORROW + DAY) == []
    assert free_on(clinic.nurse, TOMORROW + 2 * DAY) == from_to(TOMORROW + 2 * DAY, "8:00", "17:00")


def test_rebuild_closes_a_site_for_a_date_and_heeds_validity(clinic: SmallClinic) -> None:
    Closure.objects.create(site=clinic.site, date=TOMORROW, name="Holiday")
    late = factories.resource(kind=Kind.ROOM, at_site=clinic.site)
    factories.weekly_hours(of=late, valid_from=TOMORROW + DAY, valid_until=TOMORROW + 2 * DAY)

    free_time.rebuild(at=NOW)

    assert free_on(clinic.room, TOMORROW) == []
    assert [bool(free_on(late, TOMORROW + offset * DAY)) for offset in range(4)] == [False, True, True, False]


def test_rebuild_says_that_an_inactive_resource_is_never_free(clinic: SmallClinic) -> None:
    Resource.objects.filter(pk=clinic.room.pk).update(is_active=False)

    free_time.rebuild(at=NOW, resources=[clinic.room.pk])

    assert free_on(clinic.room, TOMORROW) == []


def test_rebuild_keeps_the_way_between_sites_free_of_work(clinic: SmallClinic) -> None:
    other = factories.site()
    Travel.objects.create(origin=clinic.site, destination=other, minutes=40)
    Travel.objects.create(origin=other, destination=clinic.site, minutes=30)
    factories.weekly_hours(of=clinic.physician, at_site=other)
    factories.appointment(
        of=clinic.patient, at_site=other, starts_at=local(TOMORROW, "12:00"), resources=[clinic.physician],
        for_procedure=clinic.procedure,
    )  # fmt: skip

    free_time.rebuild(at=NOW)

    assert free_on(clinic.physician, TOMORROW) == from_to(TOMORROW, "8:00", "11:20", "13:00", "17:00")
    assert free_on(clinic.physician, TOMORROW, other) == from_to(TOMORROW, "8:00", "12:00", "12:30", "17:00")


def test_rebuild_of_touched_days_changes_those_rows_only_in_a_fixed_number_of_queries(clinic: SmallClinic) -> None:
    FreeTime.objects.update(bits=bytes(36))
    touched: dict[int, Sequence[date]] = {each.pk: [TOMORROW] for each in clinic.resources}

    with CaptureQueriesContext(
        connection,
    ) as many:
        changed = free_time.rebuild(touched)
    with CaptureQueriesContext(connection) as one:
        free_time.rebuild({clinic.room.pk: [TOMORROW]})

    assert changed == 5
    assert len(many) == len(one)
    assert len(many) <= 9
    assert free_on(clinic.room, TOMORROW) == from_to(TOMORROW, "8:00", "17:00")
    assert free_on(clinic.room, TOMORROW + DAY) == []


def test_rebuild_of_touched_days_begins_no_rows_outside_the_horizon(clinic: SmallClinic) -> None:
    count = FreeTime.objects.count()

    assert free_time.rebuild({clinic.room.pk: [TODAY - 30 * DAY, TODAY + 900 * DAY]}) == 0
    assert free_time.rebuild({}) == 0
    assert FreeTime.objects.count() == count


def test_rebuild_asks_for_days_or_an_instant() -> None:
    with pytest.raises(TypeError):
        free_time.rebuild()


def test_extend_adds_the_days_gained_and_nothing_the_second_time(clinic: SmallClinic) -> None:
    new = factories.resource(kind=Kind.ROOM, at_site=clinic.site)
    factories.weekly_hours(of=new)

    added = free_time.extend(at=NOW + 3 * DAY)
    again = free_time.extend(at=NOW + 3 * DAY)

    assert added == 5 * 3 + 402
    assert again == 0
    assert free_time.check(at=NOW + 3 * DAY) == ()


def test_check_names_every_untrue_row_and_repairs_it(clinic: SmallClinic) -> None:
    key = {"resource": clinic.room, "site": clinic.site}
    FreeTime.objects.filter(**key, day=TOMORROW).update(bits=bytes(36))
    FreeTime.objects.filter(**key, day=TOMORROW + DAY).delete()
    elsewhere = factories.site()
    FreeTime.objects.create(resource=clinic.room, site=elsewhere, day=TOMORROW, bits=b"\x01" + bytes(35))

    found = free_time.check(at=NOW, resources=[clinic.room.pk])
    repaired = free_time.check(at=NOW, repair=True)

    assert [(each.site_id, each.day, each.stored) for each in found] == [
        (clinic.site.pk, TOMORROW, 0),
        (clinic.site.pk, TOMORROW + DAY, None),
        (elsewhere.pk, TOMORROW, 1),
    ]
    assert repaired == found
    assert free_time.check(at=NOW) == ()


def test_expand_blocks_lays_down_dates_with_their_release(clinic: SmallClinic) -> None:
    block = Block.objects.create(
        resource=clinic.room, site=clinic.site, name="Ablations", weekday=0, starts=time(8), ends=time(12), family="rfa",
        valid_from=TODAY, valid_until=TODAY + 14 * DAY, release_days=5,
    )  # fmt: skip
    other = Block.objects.create(
        resource=clinic.room, site=clinic.site, name="Open end", weekday=1, starts=time(8), ends=time(9), family="esi",
        valid_from=TODAY,
    )  # fmt: skip

    free_time.expand_blocks(at=NOW)
    free_time.expand_blocks(at=NOW, blocks=[block.pk])

    rows = BlockTime.objects.filter(block=block).order_by("starts_at")
    assert [(row.starts_at, row.ends_at, row.releases_at) for row in rows] == [
        (local(on, "8:00"), local(on, "12:00"), local(on - 5 * DAY, "0:00")) for on in (TODAY, TODAY + 7 * DAY, TODAY + 14 * DAY)
    ]
    assert BlockTime.objects.filter(block=other).count() == 58


def test_free_and_allocated_never_meet(clinic: SmallClinic) -> None:
    for number, clock in enumerate(("8:00", "9:05", "11:40", "16:30")):
        who = factories.patient(home=clinic.site, last_name=f"P{number}")
        factories.appointment(of=who, at_site=clinic.site, for_procedure=clinic.procedure, resources=[clinic.room],
                              starts_at=local(TOMORROW, clock))  # fmt: skip

    free_time.rebuild({clinic.room.pk: [TOMORROW]})

    free = [Interval(*each) for each in free_on(clinic.room, TOMORROW)]
    taken = [Interval(row.starts_at, row.ends_at) for row in Allocation.objects.filter(resource=clinic.room)]
    assert not any(one.overlaps(other) for one in free for other in taken)
    assert sum((each.length for each in free + taken), timedelta()) == timedelta(hours=9)


def test_hours_that_lie_wholly_in_a_skipped_hour_are_none_that_day(db: None) -> None:
    room = factories.resource(kind=Kind.ROOM)
    factories.weekly_hours(of=room, weekdays=[6], starts="02:00", ends="03:00")
    factories.build_free_time(at=NOW)

    assert free_on(room, SPRING_FORWARD) == []
    assert len(free_on(room, SPRING_FORWARD + 7 * DAY)) == 1


def test_rebuild_of_no_resource_changes_nothing(clinic: SmallClinic) -> None:
    Absence.objects.create(resource=clinic.nurse, starts_at=local(TOMORROW, "9:00"), ends_at=local(TOMORROW, "10:00"))

    assert free_time.rebuild(at=NOW, resources=[]) == 0
    assert free_on(clinic.nurse, TOMORROW) == from_to(TOMORROW, "8:00", "17:00")
    assert free_time.rebuild(at=NOW, resources=[clinic.nurse.pk]) == 1
