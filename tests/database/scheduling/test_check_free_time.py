"""`manage.py check_free_time` names what is untrue, and makes it true unless told not to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from scheduling import free_time
from scheduling.models import FreeTime
from tests import factories
from tests.factories import SmallClinic


@pytest.fixture
def untrue(clinic: SmallClinic) -> FreeTime:
    """Return a row of next week that says nothing is free, in a clinic as of the real now."""
    now = datetime.now(UTC)
    factories.build_free_time(at=now)
    today = now.astimezone(UTC).date()  # free time is kept by UTC days
    monday = today + timedelta(days=14 - today.weekday())
    row = FreeTime.objects.get(resource=clinic.room, day=monday)
    FreeTime.objects.filter(pk=row.pk).update(bits=bytes(36))
    return row


def test_check_free_time_repairs_and_exits_1(untrue: FreeTime, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("check_free_time")

    assert ended.value.code == 1
    assert f"on {untrue.day}: 0 slots free, truly 108" in capsys.readouterr().out
    assert bytes(FreeTime.objects.get(pk=untrue.pk).bits) == bytes(untrue.bits)
    call_command("check_free_time")
    assert capsys.readouterr().err == "0 rows differed.\n"


def test_check_free_time_changes_nothing_on_a_dry_run(untrue: FreeTime, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("check_free_time", "--dry-run")

    assert capsys.readouterr().err == "1 rows differed and were left as they are.\n"
    assert free_time.check(at=datetime.now(UTC))[0].day == untrue.day
