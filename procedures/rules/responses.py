"""How a patient did after a session, judged from dated scores: met, still running, not on record, or lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from fractions import Fraction

from procedures.rules.dates import Period
from procedures.rules.facts import Session

Records = Sequence[tuple[date, Fraction]]


class State(Enum):
    """Where a response stands. A running one may still be met; an unrecorded one is not known; a lost one is over."""

    MET = "met"
    RUNNING = "running"
    UNRECORDED = "not on record"
    LOST = "not met"


_BEST = {state: rank for rank, state in enumerate(State)}


def best(states: Iterable[State]) -> State:
    """Return the most hopeful of several states, as for measures of which one is enough."""
    return min(states, key=_BEST.__getitem__, default=State.UNRECORDED)


def held(records: Records, pct: Fraction, due: date) -> State:
    """Judge whether at least `pct` was reached and is shown to hold on or after the due day, never below in between."""
    has_reached = False
    # Compared as whole numbers, which is what a fraction does after asking what the other one is.
    top, bottom = pct.numerator, pct.denominator
    for on, value in records:
        if value.numerator * bottom < top * value.denominator:
            if has_reached:
                return State.LOST
            continue
        has_reached = True
        if on >= due:
            return State.MET
    if has_reached:
        return State.RUNNING
    return State.LOST if records else State.UNRECORDED


def reached(records: Records, pct: Fraction) -> State:
    """Judge whether at least `pct` was ever recorded."""
    if not records:
        return State.UNRECORDED
    return State.MET if any(value >= pct for _, value in records) else State.LOST


def has_gain(session: Session) -> bool | None:
    """Say whether any better function is recorded."""
    if session.function_improved or any(value > 0 for _, value in session.function):
        return True
    return None if session.function_improved is None and not session.function else False


def has_less_medicine(session: Session) -> bool | None:
    """Say whether any reduction of medicine is recorded."""
    if session.medication_reduced or (session.medication_reduction or 0) > 0:
        return True
    return None if session.medication_reduced is None and session.medication_reduction is None else False


_GAINS = {"function_improved": has_gain, "medication_reduced": has_less_medicine}


@dataclass(frozen=True, slots=True)
class Response:
    """What a table asks of the response to the session before."""

    pct: Fraction
    period: Period = field(default_factory=Period)
    any_of: tuple[str, ...] = ("pain",)
    all_of: tuple[str, ...] = ()
    plus_any_of: tuple[str, ...] = ()
    has_function_alternative: bool = False

    def judge(self, session: Session) -> State:
        """Return where the response to a session stands."""
        due = self.period.after(session.on)
        if self.all_of:
            return self._all(session, due)
        states = [self._measure(name, session, due) for name in self.any_of]
        state = best(states)
        # A measure without a record does not keep hope alive when another one is over.
        if state is State.UNRECORDED and State.LOST in states:
            state = State.LOST
        return self._with_gain(session, state)

    def _all(self, session: Session, due: date) -> State:
        states = [self._measure(name, session, due) for name in self.all_of]
        if all(state is State.MET for state in states):
            return State.MET
        if State.LOST in states:
            return State.LOST
        return State.UNRECORDED if all(state is State.UNRECORDED for state in states) else State.RUNNING

    def _measure(self, name: str, session: Session, due: date) -> State:
        if name == "function":
            if self.has_function_alternative:
                return reached(session.function, self.pct)
            return held(session.function, self.pct, due)
        return held(session.pain, self.pct, due)

    def _with_gain(self, session: Session, state: State) -> State:
        if not self.plus_any_of or state is State.LOST:
            return state
        gains = [_GAINS[name](session) for name in self.plus_any_of]
        if any(gains):
            return state
        if None in gains:
            return State.UNRECORDED if state is State.UNRECORDED else State.RUNNING
        return State.LOST

    def ever_reached(self, session: Session) -> bool:
        """Say whether any recorded score reached the percentage."""
        names = self.all_of or self.any_of
        pain = any(name != "function" for name in names) and reached(session.pain, self.pct) is State.MET
        return pain or ("function" in names and reached(session.function, self.pct) is State.MET)

    def has_record(self, session: Session) -> bool:
        """Say whether any score of a measure that counts is recorded."""
        names = self.all_of or self.any_of
        return bool(session.pain and any(name != "function" for name in names)) or bool(session.function and "function" in names)

    def __str__(self) -> str:
        measures = " and ".join(self.all_of) if self.all_of else " or ".join(name.partition("_")[0] for name in self.any_of)
        lasting = f" for {self.period}" if self.period != Period() else ""
        return f"at least {float(self.pct):g}% better {measures}{lasting}"
