"""What the clock starts."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from pain_clinic import clock
from pain_clinic.audit.models import Heartbeat
from pain_clinic.celery import app
from scheduling import tasks
from scheduling.models import FreeTime, Hold
from tests.factories import SmallClinic

OURS = {
    "ask_for_courses",
    "chase_answers",
    "check_rules",
    "find_course_openings",
    "follow_facts",
    "extend_free_time",
    "heartbeat",
    "plan_courses",
    "plan_messages",
    "plan_nights",
    "read_bounces",
    "release_blocks",
    "sweep_holds",
    "sweep_messages",
    "tell_courses",
}


def test_beat_starts_every_task_there_is_and_no_other() -> None:
    named = {
        str(entry["task"]).rpartition(".")[2]
        for entry in app.conf.beat_schedule.values()
        if str(entry["task"]).startswith("scheduling.")
    }

    assert named == OURS
    assert all(getattr(tasks, name).name == f"scheduling.tasks.{name}" for name in OURS)


def test_schedules_are_intervals_in_utc() -> None:
    assert app.conf.timezone == "UTC"
    assert all(isinstance(entry["schedule"], float) for entry in app.conf.beat_schedule.values())


@pytest.mark.parametrize("name", sorted(OURS))
def test_task_runs_twice_with_nothing_to_do(db: None, name: str) -> None:
    task = getattr(tasks, name)

    assert task() is None
    assert task() is None


def test_heartbeat_says_the_worker_lives() -> None:
    tasks.heartbeat()

    assert clock.now() - Heartbeat.objects.get(name="worker").at < timedelta(seconds=5)


def test_sweep_holds_ends_what_ran_out_and_keeps_the_rest(clinic: SmallClinic) -> None:
    now = clock.now()
    values = {"procedure": clinic.procedure, "site": clinic.site, "held_at": now, "arrives_at": now, "starts_at": now,
              "procedure_ends_at": now + timedelta(hours=1), "leaves_at": now + timedelta(hours=1)}  # fmt: skip
    over = Hold.objects.create(**values, ends_at=now - timedelta(seconds=1))
    running = Hold.objects.create(**values, ends_at=now + timedelta(minutes=5))

    tasks.sweep_holds()
    tasks.sweep_holds()

    assert Hold.objects.get(pk=over.pk).released_at is not None
    assert Hold.objects.get(pk=running.pk).released_at is None


def test_extend_free_time_writes_the_days_that_are_missing(clinic: SmallClinic) -> None:
    today = clock.now().astimezone(UTC).date()
    FreeTime.objects.filter(day__gte=today + timedelta(days=10)).delete()

    tasks.extend_free_time()
    after = FreeTime.objects.count()
    tasks.extend_free_time()

    assert FreeTime.objects.filter(resource=clinic.physician, day=today + timedelta(days=300)).exists()
    assert FreeTime.objects.count() == after


def test_tasks_take_no_names_or_texts() -> None:
    """Redis holds ids at most; ours hold nothing at all."""
    assert all(not entry.get("args") and not entry.get("kwargs") for entry in app.conf.beat_schedule.values())
