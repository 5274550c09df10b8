"""The joint search by example."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from scheduling.availability import (
    Demand,
    Frame,
    Plan,
    Question,
    Relaxation,
    Unit,
    Window,
    earliest,
    erode,
    explain,
    first_starts,
    runs_of,
    search,
)
from scheduling.intervals import ones

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
FRAME = Frame(date(2026, 9, 14), 7)  # Monday to Sunday
HOUR = 12


def hours(*spans: tuple[int, float, float]) -> int:
    """Return free time as (day of the frame, from, until), in New York's summer."""
    return sum(ones(int(day * 288 + (start + 4) * HOUR), int(day * 288 + (end + 4) * HOUR)) for day, start, end in spans)


def at(day: int, hour: float) -> datetime:
    return datetime(2026, 9, 14 + day, 4, tzinfo=UTC) + timedelta(hours=hour)


def unit(pk: int, free: int, **values: object) -> Unit:
    return Unit(pk, "kind", 1, free, **{"label": f"Unit {pk}", **values})


def plan(*demands: Demand, prep: int = 0, procedure: int = 6, recovery: int = 0, zone: ZoneInfo = NEW_YORK) -> Plan:
    return Plan(1, zone, prep, procedure, recovery, demands)


def need(key: str, *units: Unit, count: int = 1, runs: tuple[tuple[int, int], ...] = ((0, 6),), **values: object) -> Demand:
    return Demand(key, runs, units, count, label=key, **values)


def asking(*plans: Plan, **values: object) -> Question:
    whole = Window(FRAME.instant(0), FRAME.instant(FRAME.slots))
    return Question(**{"frame": FRAME, "plans": plans, "window": whole, **values})


def starts(question: Question) -> list[datetime]:
    return [opening.starts_at for opening in search(question)]


def test_search_finds_the_common_time_and_says_who() -> None:
    physician = need("physician", unit(1, hours((0, 8, 10))), unit(2, hours((0, 8, 12))))
    room = need("room", unit(3, hours((0, 9, 12))))

    found = search(asking(plan(physician, room), limit=2))

    assert [(each.starts_at, each.units) for each in found] == [
        (at(0, 9), {"physician": (2,), "room": (3,)}),
        (at(0, 9) + timedelta(minutes=5), {"physician": (2,), "room": (3,)}),
    ]
    assert found[0].reasons == ("Unit 2 has the most time left that day of 2 who could",)


def test_search_breaks_ties_by_rank_then_key() -> None:
    free = hours((0, 9, 10))

    tied = need("physician", unit(5, free, rank=1), unit(4, free, rank=1), unit(9, free, rank=0))

    assert search(asking(plan(tied), limit=1))[0].units == {"physician": (9,)}
    assert search(asking(plan(replace(tied, candidates=tied.candidates[:2])), limit=1))[0].units == {"physician": (4,)}


def test_search_says_when_somebody_is_the_only_one() -> None:
    assert search(asking(plan(need("physician", unit(1, hours((0, 9, 10))))), limit=1))[0].reasons == (
        "Unit 1 is the only one free then",
    )
    assert search(asking(plan(need("nurse", unit(1, hours((0, 9, 10))))), limit=1))[0].reasons == ()


def test_search_takes_the_least_capable_room_that_fits_then_the_least_loaded() -> None:
    physician = need("physician", unit(1, hours((0, 9, 10))))
    theatre = unit(2, hours((0, 8, 17)), capabilities=frozenset({"or_room"}), label="Operating room")
    busier, emptier = unit(3, hours((0, 9, 10))), unit(4, hours((0, 9, 12)))
    room = need("room", theatre, busier, emptier)

    first = search(asking(plan(physician, room), limit=1))[0]

    assert first.units["room"] == (4,)
    assert first.reasons == ("Unit 1 is the only one free then", "Operating room is kept for what needs it")
    for pool, chosen, spared in (((theatre, busier), 3, 1), ((theatre,), 2, 0), ((busier, emptier), 4, 0)):
        found = search(asking(plan(physician, replace(room, candidates=pool)), limit=1))[0]
        assert (found.units["room"], len(found.reasons) - 1) == ((chosen,), spared)


def test_search_takes_the_capable_room_when_the_plain_ones_are_taken() -> None:
    theatre, plain = unit(2, hours((0, 8, 17)), capabilities=frozenset({"or_room"})), unit(3, hours((0, 10, 12)))
    physician = need("physician", unit(1, hours((0, 9, 12))))

    found = search(asking(plan(physician, need("room", theatre, plain)), grid_slots=12))

    assert [(each.starts_at, each.units["room"]) for each in found] == [(at(0, 9), (2,)), (at(0, 10), (3,)), (at(0, 11), (3,))]
    assert found[0].reasons == ("Unit 1 is the only one free then",)


def test_search_chooses_who_leads_by_load_whatever_else_they_can_do() -> None:
    able = unit(1, hours((0, 8, 17)), capabilities=frozenset({"paediatric"}))

    both = need("physician", able, unit(2, hours((0, 8, 10))))

    assert search(asking(plan(both), limit=1))[0].units == {"physician": (1,)}


def test_search_keeps_one_nurse_for_two_legs() -> None:
    legs = ((0, 3), (9, 3))
    before, after, both = unit(1, hours((0, 9, 9.25))), unit(2, hours((0, 9.75, 10))), unit(3, hours((0, 9, 9.25), (0, 9.75, 10)))
    case = {"prep": 3, "procedure": 6, "recovery": 3}

    assert search(asking(plan(need("nurse", before, after, runs=legs), **case))) == ()
    assert [each.units for each in search(asking(plan(need("nurse", before, after, both, runs=legs), **case)))] == [
        {"nurse": (3,)}
    ]


def test_search_adds_a_units_own_turnover() -> None:
    quick, slow = unit(1, hours((0, 9, 9.75))), unit(2, hours((0, 9, 9.75)), extra_turnover_slots=3)
    room = need("room", quick, slow, runs=((0, 8),), turnover_ends=8)

    assert [each.units["room"] for each in search(asking(plan(room), per_physician=True))] == [(1,), (1,)]
    assert search(asking(plan(replace(room, candidates=(slow,))))) == ()


def test_search_gives_several_units_and_never_one_twice() -> None:
    one, two, three = (unit(pk, hours((0, 9, 9.5))) for pk in (1, 2, 3))

    both = asking(plan(need("nurses", one, two, count=2)))
    assert [each.units for each in search(both)] == [{"nurses": (1, 2)}]
    assert search(asking(plan(need("nurses", one, two, count=2), need("helper", two)))) == ()
    shared = asking(plan(need("nurses", one, two, three, count=2), need("helper", one)))
    assert [each.units for each in search(shared)] == [{"nurses": (2, 3), "helper": (1,)}]


def test_search_moves_a_choice_aside_when_another_need_has_no_other() -> None:
    one, two = unit(1, hours((0, 9, 12))), unit(2, hours((0, 9, 9.5)))

    found = search(asking(plan(need("first", one, two), need("second", one)), limit=1))

    assert found[0].units == {"first": (2,), "second": (1,)}


def test_search_tells_physicians_apart_when_two_needs_share_them() -> None:
    one, two = unit(1, hours((0, 9, 9.5))), unit(2, hours((0, 9, 9.5)))

    found = search(asking(plan(need("physician", one, two), need("assistant", one)), per_physician=True))

    assert [each.units for each in found] == [{"physician": (2,), "assistant": (1,)}]


def test_search_minds_patient_window_and_arrival() -> None:
    question = asking(plan(need("physician", unit(1, hours((0, 9, 11))), runs=((3, 6),)), prep=3))

    assert starts(question)[0] == at(0, 9)
    assert starts(replace(question, patient_busy=hours((0, 8.75, 9))))[0] == at(0, 9.25)
    assert starts(replace(question, patient_busy=hours((0, 0, 24)))) == []
    part = replace(question.window, arrives_from=at(0, 9), part=(time(9), time(12)), weekdays=frozenset({0}))
    assert starts(replace(question, window=part))[0] == at(0, 9.25)
    assert starts(replace(question, window=replace(part, weekdays=frozenset({1})))) == []


@pytest.mark.parametrize(("grid", "minutes"), [(3, {0, 15, 30, 45}), (6, {0, 30}), (12, {0})])
def test_search_starts_on_the_grid_of_the_wall_clock(grid: int, minutes: set[int]) -> None:
    frame = Frame(date(2026, 10, 3), 2)  # Lord Howe moves by half an hour that night
    every = unit(1, ones(0, frame.slots))
    question = Question(
        frame, (plan(need("physician", every), zone=LORD_HOWE),), Window(frame.instant(0), frame.instant(frame.slots)),
        grid_slots=grid, limit=1000,
    )  # fmt: skip

    assert {each.astimezone(LORD_HOWE).minute for each in starts(question)} == minutes


def test_search_takes_plans_together_in_one_order() -> None:
    here = plan(need("physician", unit(1, hours((0, 10, 12)))))
    there = replace(plan(need("physician", unit(2, hours((0, 9, 10.5))))), site=2)

    assert [(each.starts_at, each.site) for each in search(asking(here, there, limit=3, grid_slots=6))] == [
        (at(0, 9), 2),
        (at(0, 9.5), 2),
        (at(0, 10), 1),
    ]
    assert first_starts(asking(here, there, limit=2, grid_slots=6)) == (at(0, 9), at(0, 9.5))


def test_a_cap_per_day_shows_each_physician_in_each_half_before_filling_up() -> None:
    one, two = unit(1, hours((0, 8, 16), (1, 8, 9))), unit(2, hours((0, 9, 16)))
    question = asking(plan(need("physician", one, two)), per_day=5, limit=6)

    found = [(each.starts_at, each.units["physician"][0]) for each in search(question)]

    assert found == [
        (at(0, 8), 1),
        (at(0, 8.5), 1),
        (at(0, 9), 2),
        (at(0, 9.5), 1),
        (at(0, 12), 1),
        (at(1, 8), 1),
    ]
    both = search(replace(question, per_physician=True, per_day=4, limit=4))
    assert [(each.starts_at, each.units["physician"][0]) for each in both] == [
        (at(0, 8), 1),
        (at(0, 9), 2),
        (at(0, 12), 1),
        (at(0, 12), 2),
    ]


def test_a_cap_per_day_works_without_a_physician_and_with_shared_pools() -> None:
    nurse = need("nurse", unit(1, hours((0, 8, 9), (2, 8, 9))))
    assert starts(asking(plan(nurse), per_day=1)) == [at(0, 8), at(2, 8)]
    pair = plan(need("physician", nurse.candidates[0], unit(2, hours((0, 8, 9)))), need("nurse", nurse.candidates[0]))
    assert [each.units for each in search(asking(pair, per_day=1))] == [{"physician": (2,), "nurse": (1,)}]


def test_earliest_is_the_very_first_or_nothing() -> None:
    question = asking(plan(need("physician", unit(1, hours((3, 9, 10))))), per_day=1)

    found = earliest(question)

    assert found is not None
    assert found.starts_at == at(3, 9)
    assert earliest(asking(plan(need("physician")))) is None


def test_runs_join_legs_that_touch_and_name_the_turnover() -> None:
    lengths = {"prep": 3, "procedure": 6, "recovery": 6, "turnover": 2}

    assert runs_of(["prep", "recovery"], **lengths) == (((0, 3), (9, 6)), None)
    assert runs_of(["procedure", "turnover"], **lengths) == (((3, 8),), 11)
    assert runs_of(["prep", "procedure", "recovery"], **{**lengths, "prep": 0}) == (((0, 12),), None)
    with pytest.raises(ValueError, match="at least one"):
        erode(1, 0)


def test_explain_names_the_need_that_is_never_free() -> None:
    question = asking(plan(need("physician", unit(1, hours((0, 9, 10)))), need("C-arm", unit(2, 0))))

    assert explain(question).text == "no C-arm at any time asked."


def test_explain_names_weekday_and_part_of_the_day() -> None:
    physician = need("physician", unit(1, hours((1, 8, 17), (2, 13, 17))))
    c_arm = need("C-arm", unit(2, hours((3, 8, 17), (1, 11.75, 12.25))), runs=((0, 6),))

    answer = explain(asking(plan(physician, c_arm)))

    assert [(each.key, each.cells) for each in answer.shortages] == [
        ("C-arm", ((1, 1), (2, 1))),
        ("physician", ((3, 0), (3, 1))),
    ]
    tuesday = asking(plan(physician, need("C-arm", unit(2, hours((3, 8, 17))))))
    text = explain(tuesday).text
    assert "no C-arm on Tuesdays, on Wednesdays after 12:00" in text
    assert "no physician on Thursdays" in text


def test_explain_says_when_all_is_free_but_never_together() -> None:
    needs = [need(f"thing {pk}", unit(pk, hours((pk, 9, 10)))) for pk in (1, 2, 3)]

    assert explain(asking(plan(*needs))).text == "Everything needed is free at times, but never all of it together."


def test_explain_says_when_the_cells_differ_only_within_halves() -> None:
    question = asking(plan(need("physician", unit(1, hours((0, 9, 10)))), need("room", unit(2, hours((0, 10, 11))))))

    assert explain(question).text == "no physician when all else is free; no room when all else is free."


def test_explain_says_when_the_patient_is_elsewhere_or_the_window_empty() -> None:
    free = plan(need("physician", unit(1, hours((0, 9, 10)))))
    question = asking(free)

    assert explain(replace(question, patient_busy=hours((0, 8, 11)))).text == (
        "There are openings, but the patient is elsewhere at those times."
    )
    assert explain(replace(question, patient_busy=ones(0, FRAME.slots))).text == "The patient is elsewhere at every time asked."
    empty = Window(FRAME.instant(20), FRAME.instant(20))
    assert explain(replace(question, window=empty)).text == "The time asked leaves no start at all."
    assert explain(asking()).text == "Nobody may do this procedure in the way asked."


def test_explain_orders_the_changes_that_would_help_by_their_first_opening() -> None:
    nothing = asking(plan(need("physician", unit(1, 0))))
    tuesday = asking(plan(need("physician", unit(2, hours((1, 9, 10))))))
    monday = asking(plan(need("physician", unit(3, hours((0, 9, 10))))))

    answer = explain(
        nothing,
        [Relaxation("later", "later", tuesday), Relaxation("site", "elsewhere", monday), Relaxation("part", "no", nothing)],
    )

    assert [(each.kind, each.opening.starts_at) for each in answer.helps] == [("site", at(0, 9)), ("later", at(1, 9))]


def test_search_adds_a_units_turnover_that_does_not_touch_its_own_legs() -> None:
    room = need("room", unit(1, hours((0, 9, 9.5)), extra_turnover_slots=2), turnover_ends=9)

    assert search(asking(plan(room))) == ()
    freed = replace(room, candidates=(replace(room.candidates[0], free=hours((0, 9, 9.5), (0, 9.75, 10))),))
    assert starts(asking(plan(freed))) == [at(0, 9)]


def test_search_stops_at_its_limit_between_two_physicians_of_one_start() -> None:
    pair = need("physician", *(unit(pk, hours((0, 9, 10))) for pk in (1, 2)))

    found = search(asking(plan(pair), per_physician=True, limit=3))

    assert [each.units["physician"][0] for each in found] == [1, 2, 1]


def test_a_cap_per_day_leaves_out_what_exceeds_it_and_plans_without_that_day() -> None:
    trio = need("physician", *(unit(pk, hours((0, 8 + pk, 12))) for pk in (1, 2, 3)))
    other = replace(plan(need("physician", unit(9, hours((3, 9, 10))))), site=2)

    assert starts(asking(plan(trio), other, per_day=2)) == [at(0, 9), at(0, 10), at(3, 9), at(3, 9.5)]


def test_a_part_of_the_day_that_a_clock_change_skips_has_no_starts() -> None:
    frame = Frame(date(2027, 3, 14), 1)
    every = need("physician", unit(1, ones(0, frame.slots)))
    window = Window(frame.instant(0), frame.instant(frame.slots), part=(time(2), time(2, 45)))

    assert search(Question(frame, (plan(every),), window)) == ()


def test_first_starts_skips_plans_that_the_window_leaves_no_start() -> None:
    free = plan(need("physician", unit(1, hours((0, 9, 9.5)))))
    question = asking(free)

    assert first_starts(question) == (at(0, 9),)
    assert first_starts(replace(question, patient_busy=ones(0, FRAME.slots))) == ()


def test_search_passes_over_who_has_more_time_left_but_is_busy_then() -> None:
    physician = need("physician", unit(1, hours((0, 9, 9.5))))
    room = need("room", unit(2, hours((0, 9, 9.5))), unit(3, hours((0, 10, 17))))

    assert [each.units for each in search(asking(plan(physician, room)))] == [{"physician": (1,), "room": (2,)}]
