"""The four kinds of refusal, and the translation of the database's own refusals into them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import IntegrityError, OperationalError

T = TypeVar("T")


class DomainError(Exception):
    """A refusal that a person can understand: a stable code, a plain message, and details for machines."""

    status = 400

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class Conflict(DomainError):
    """The world moved: somebody else was first."""

    status = 409


class Refused(DomainError):
    """A rule says no."""

    status = 422


class Forbidden(DomainError):
    """This actor may not."""

    status = 403


class Gone(DomainError):
    """The link is no longer good."""

    status = 410


class Busy(Conflict):
    """Somebody else holds the rows; the same request may succeed a moment later."""

    def __init__(self, code: str = "busy", message: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(code, message or "Someone else is changing this right now. Try again in a moment.", details)


LOCK_NOT_AVAILABLE = "55P03"
DEADLOCK = "40P01"
SERIALIZATION = "40001"
MOMENTARY = frozenset({LOCK_NOT_AVAILABLE, DEADLOCK, SERIALIZATION})
EXCLUSION_VIOLATION = "23P01"


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE under a Django database error, or an empty text."""
    return str(getattr(error.__cause__, "pgcode", None) or getattr(error.__cause__, "sqlstate", None) or "")


def constraint_name(error: BaseException) -> str:
    """Return the name of the constraint that a database error broke, or an empty text."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return str(getattr(diagnosis, "constraint_name", None) or "")


@contextmanager
def translated(constraints: Mapping[str, Callable[[], DomainError]] | None = None) -> Iterator[None]:
    """Turn the database's refusals into ours. Put it around the transaction, from outside.

    `constraints` maps a constraint's name to a factory of the error it means. Lock timeouts, deadlocks and
    serialization failures become `Busy`. Anything else rises untouched.
    """
    try:
        yield
    except IntegrityError as error:
        factory = (constraints or {}).get(constraint_name(error))
        if factory is None:
            raise
        raise factory() from error
    except OperationalError as error:
        if sqlstate(error) in MOMENTARY:
            raise Busy(details={"sqlstate": sqlstate(error)}) from error
        raise


def retried(act: Callable[[], T], *, times: int = 3, pause: float = 0.05) -> T:
    """Call `act` again after a deadlock or serialization failure, at most `times` times in all.

    A lock timeout is not retried: it has already waited as long as a person should.
    """
    for attempt in range(1, times + 1):
        try:
            return act()
        except Busy as error:
            if error.details.get("sqlstate") not in {DEADLOCK, SERIALIZATION} or attempt == times:
                raise
        except OperationalError as error:
            if sqlstate(error) not in {DEADLOCK, SERIALIZATION} or attempt == times:
                raise
        time.sleep(pause * attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")
