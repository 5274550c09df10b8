"""What a walk expects of an answer."""

from __future__ import annotations

from procedures.pathways import Owner, Proposed, Stopped, Waiting


def proposed(answer: object, step: str) -> Proposed:
    assert isinstance(answer, Proposed), answer
    assert answer.step == step
    assert answer.earliest <= answer.ideal <= answer.latest
    return answer


def waiting(answer: object, step: str, owner: Owner = Owner.PATIENT) -> Waiting:
    assert isinstance(answer, Waiting), answer
    assert (answer.step, answer.owner) == (step, owner)
    return answer


def stopped(answer: object, code: str) -> Stopped:
    assert isinstance(answer, Stopped), answer
    assert answer.code == code
    return answer
