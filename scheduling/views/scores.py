"""The page behind a score link: question by question, kept with each press, in the patient's language, without JavaScript."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils.translation import gettext

from scheduling import asks
from scheduling.asks import QuestionSet
from scheduling.letters import time_of_day, weekday
from scheduling.models import Ask, Link


def texts() -> dict[str, tuple[str, str]]:
    """Return each question in the patient's language, with what its ends mean. All wording is our own."""
    return {
        "nrs.index": (
            gettext("How strong is the pain that was treated, at this moment?"),
            gettext("0 is no pain, 10 is the worst that you can imagine."),
        ),
        "nrs.average": (
            gettext("How strong was it on average in the last week?"),
            gettext("0 is no pain, 10 is the worst that you can imagine."),
        ),
        "percent_relief.total": (
            gettext("How much of the pain is gone, in percent?"),
            gettext("0 is nothing, 100 is all of it."),
        ),
        "pgic.total": (
            gettext("Compared with the time before the visit, how are you altogether?"),
            gettext("1 is very much better, 4 is the same, 7 is very much worse."),
        ),
        asks.ADVERSE: (gettext("Is there anything new that worries you since the visit?"), ""),
    }


def context_of(request: HttpRequest, link: Link, *, address: str, at: Any, problem: str = "") -> dict[str, Any]:
    """Return what the page shows: one question set, and the other moments of a diary."""
    sets = asks.shown(link=link, at=at)
    chosen = _chosen(sets, request.GET.get("set", "") or request.POST.get("ask", ""))
    zone = ZoneInfo(link.appointment.zone)
    words = texts()
    questions = []
    for one in chosen.questions if chosen else ():
        text, ends = words[one.code]
        labels = {0: gettext("No"), 1: gettext("Yes")} if one.code == asks.ADVERSE else {}
        choices = [(value, labels.get(value, str(value))) for value in one.values]
        questions.append({"code": one.code, "text": text, "ends": ends, "choices": choices, "answer": one.answer})
    return {
        "sets": sets,
        "set": chosen,
        "questions": questions,
        "moment": _moment(chosen, zone) if chosen and chosen.ask.slot else "",
        "coming": next((_moment(one, zone) for one in sets if one.is_later), ""),
        "moments": [_line(one, zone, address, is_current=one is chosen) for one in sets] if len(sets) > 1 else [],
        "next": next((_line(one, zone, address) for one in sets if one.is_open and not one.is_done and one is not chosen), None),
        "here": f"{address}{'&' if '?' in address else '?'}set={chosen.ask.public_id}" if chosen else address,
        "problem": problem,
    }


def keep(request: HttpRequest, link: Link, *, by: Any, at: Any) -> Ask:
    """Keep the answer that was pressed.

    Raises:
        DomainError: it cannot be kept.
    """
    said = request.POST
    try:
        public_id, value = uuid.UUID(said.get("ask", "")), int(said.get("value", ""))
    except ValueError as error:
        raise asks.NoSuchQuestion from error
    ask = Ask.objects.filter(public_id=public_id, appointment=link.appointment_id).first()
    if ask is None:
        raise asks.NoSuchQuestion
    return asks.answer(link=link, ask=ask, question=said.get("question", ""), value=value, by=by, at=at)


def _chosen(sets: Sequence[QuestionSet], wanted: str) -> QuestionSet | None:
    """Return the set that was asked for, else the first open one without every answer, else the last open one."""
    named = next((one for one in sets if str(one.ask.public_id) == wanted and one.is_open), None)
    still = [one for one in sets if one.is_open]
    return named or next((one for one in still if not one.is_done), still[-1] if still else None)


def _moment(one: QuestionSet, zone: ZoneInfo) -> str:
    """Return when it is meant, "Friday 2:45 p.m."; of the night and the next morning also which that is."""
    meant = one.ask.meant_at.astimezone(zone)
    when = f"{weekday(meant)} {time_of_day(meant)}"
    which = {"bedtime": gettext("when you go to bed"), "morning": gettext("after getting up")}.get(one.ask.slot, "")
    return f"{when}, {which}" if which else when


def _line(one: QuestionSet, zone: ZoneInfo, address: str, *, is_current: bool = False) -> dict[str, Any]:
    state = gettext("answered") if one.is_done else gettext("later") if one.is_later else "" if one.is_open else gettext("over")
    link = f"{address}{'&' if '?' in address else '?'}set={one.ask.public_id}" if one.is_open else ""
    return {"label": _moment(one, zone), "address": link, "state": state, "is_current": is_current}
