"""The crew that carries letters: a few at once, each outcome told with its letter."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import pytest

from scheduling import channels
from scheduling.channels import Crew, PutOff, Unreachable
from scheduling.letters import Letter


class Slow:
    """A gateway whose letters wait until they are let go."""

    made: list[Slow]
    is_away = False
    gate: dict[str, threading.Event]

    def __init__(self) -> None:
        self.carried: list[str] = []
        self.is_closed = False
        type(self).made.append(self)

    def open(self) -> None:
        if self.is_away:
            raise Unreachable("server_unreachable")

    def send(self, letter: Letter) -> None:
        name = cast("str", letter)
        self.carried.append(name)
        assert self.gate[name].wait(60)
        if name.startswith("bad"):
            raise PutOff("try_later_451")

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Any:
    Slow.made, Slow.gate = [], {}
    monkeypatch.setattr(channels, "EmailGateway", Slow)
    made: Crew[str] = Crew(hands=3)
    yield made
    for gate in Slow.gate.values():
        gate.set()
    made.close()


def carry(crew: Crew[str], name: str) -> None:
    Slow.gate[name] = threading.Event()
    crew.carry(cast("Letter", name), name)


def land(crew: Crew[str], name: str) -> list[tuple[str, BaseException | None]]:
    Slow.gate[name].set()
    return crew.landed(within=60)


def test_as_many_letters_as_hands_go_beside_each_other(crew: Crew[str]) -> None:
    for name in ("one", "two", "three"):
        assert not crew.is_full
        carry(crew, name)
    assert (crew.is_full, crew.flying) == (True, 3)


def test_server_that_is_away_is_known_before_a_second_letter_is_sent_on_its_way(
    crew: Crew[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slow, "is_away", True)
    carry(crew, "one")
    ((name, problem),) = crew.landed(within=60)
    assert (name, type(problem), len(Slow.made)) == ("one", Unreachable, 1)


def test_slow_answer_to_one_holds_up_no_other(crew: Crew[str]) -> None:
    carry(crew, "first")
    land(crew, "first")
    carry(crew, "slow")
    for name in ("two", "three", "four"):
        carry(crew, name)
        assert land(crew, name) == [(name, None)]
    assert land(crew, "slow") == [("slow", None)]
    assert len(Slow.made) == 2


def test_what_went_wrong_comes_back_with_its_letter_and_the_next_goes_on(crew: Crew[str]) -> None:
    carry(crew, "bad")
    ((name, problem),) = land(crew, "bad")
    assert (name, type(problem), getattr(problem, "reason", "")) == ("bad", PutOff, "try_later_451")
    carry(crew, "good")
    assert land(crew, "good") == [("good", None)]


def test_nothing_that_lands_in_time_is_nothing(crew: Crew[str]) -> None:
    carry(crew, "slow")
    assert crew.landed(within=0.01) == []
    assert crew.flying == 1


def test_every_connection_is_let_go_of_at_the_end(crew: Crew[str]) -> None:
    carry(crew, "first")
    land(crew, "first")
    carry(crew, "one")
    carry(crew, "two")
    for _ in range(500):
        if len(Slow.made) == 2:
            break
        time.sleep(0.01)
    land(crew, "one")
    land(crew, "two")
    crew.close()
    assert [gateway.is_closed for gateway in Slow.made] == [True, True]


def test_gateway_that_was_handed_in_carries_alone_and_stays_open() -> None:
    Slow.made, Slow.gate = [], {}
    gateway = Slow()
    crew: Crew[str] = Crew(gateway, hands=3)
    Slow.gate["bad"] = threading.Event()
    Slow.gate["bad"].set()
    crew.carry(cast("Letter", "bad"), "bad")
    assert crew.is_full
    ((name, problem),) = crew.landed()
    crew.close()
    assert (name, type(problem), gateway.is_closed) == ("bad", PutOff, False)
