"""Database refusals become ours, and deadlocks are tried again: TRUST C10."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import IntegrityError, OperationalError

from pain_clinic.errors import Busy, Conflict, Forbidden, Gone, Refused, retried, translated


def failing(kind: type[Exception], code: str, constraint: str = "") -> Exception:
    error = kind("x")
    cause = Exception("driver")
    cause.pgcode = code
    cause.diag = SimpleNamespace(constraint_name=constraint)
    error.__cause__ = cause
    return error


def test_each_kind_has_its_status() -> None:
    assert [kind("c", "m").status for kind in (Conflict, Refused, Forbidden, Gone)] == [409, 422, 403, 410]
    assert Busy().status == 409


def test_broken_constraint_becomes_its_error() -> None:
    taken = Conflict("slot_taken", "Taken.")
    with pytest.raises(Conflict) as refusal, translated({"no_overlap": lambda: taken}):
        raise failing(IntegrityError, "23P01", "no_overlap")
    assert refusal.value is taken


def test_other_constraint_rises_untouched() -> None:
    with pytest.raises(IntegrityError), translated({"no_overlap": lambda: Busy()}):
        raise failing(IntegrityError, "23505", "another")


@pytest.mark.parametrize("code", ["55P03", "40P01", "40001"])
def test_lock_trouble_becomes_busy(code: str) -> None:
    with pytest.raises(Busy) as refusal, translated():
        raise failing(OperationalError, code)
    assert refusal.value.code == "busy"


def test_outage_rises_untouched() -> None:
    with pytest.raises(OperationalError), translated():
        raise failing(OperationalError, "57014")


@pytest.mark.parametrize("wrapped", [True, False])
def test_deadlock_is_tried_three_times(wrapped: bool) -> None:
    tries = []

    def act() -> str:
        tries.append(1)
        if len(tries) < 3:
            if wrapped:
                with translated():
                    raise failing(OperationalError, "40P01")
            raise failing(OperationalError, "40001")
        return "done"

    assert (retried(act, pause=0), len(tries)) == ("done", 3)
    tries.clear()
    with pytest.raises((Busy, OperationalError)):
        retried(act, times=2, pause=0)


def test_lock_timeout_is_not_tried_again() -> None:
    tries = []

    def act() -> None:
        tries.append(1)
        with translated():
            raise failing(OperationalError, "55P03")

    with pytest.raises(Busy):
        retried(act, pause=0)
    assert len(tries) == 1
