"""Many rows of the worklist at once: what would be booked where, then each row booked for itself."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, web
from scheduling import bulk, worklist
from scheduling.api import bulk_words as words
from scheduling.booking import SlotTaken
from scheduling.bulk import Result, Tried, Wanted
from scheduling.courses import NothingPlanned
from scheduling.forms.offers import from_token, token_of
from scheduling.models import PlannedSession


class RehearseBulk(rest.View):
    """Say for each row what would be booked where, no two at one place, or why nothing; nothing is booked."""

    required = {"POST": "scheduling.work_course"}
    act = "scheduling.rehearse_bulk"

    @extend_schema(operation_id="worklist_rehearse", request=words.RehearseIn, responses=words.RehearsalOut)
    def post(self, request: Request) -> Response:
        given = words.RehearseIn(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        rows = of_courses(request, asked["courses"]) if asked["courses"] else bookable(request, tab=asked["tab"])
        tried = bulk.rehearse(planned=rows, by=self.actor, at=web.now())
        return Response(words.RehearsalOut({"rows": [_rehearsed(one) for one in tried]}).data)


class BookBulk(rest.View):
    """Book rows at the openings that a dry run offered, each in a transaction of its own, with its own answer.

    Sent again with the same `Idempotency-Key`, what was booked is answered alike, and what was refused is tried again.
    """

    required = {"POST": "scheduling.work_course"}
    act = "scheduling.bulk_book"

    @extend_schema(operation_id="worklist_book", request=words.BulkIn, responses=words.BulkOut)
    def post(self, request: Request) -> Response:
        given = words.BulkIn(data=request.data)
        given.is_valid(raise_exception=True)
        offers = {one["course"]: one["offer"] for one in given.validated_data["rows"]}
        rows = of_courses(request, list(offers))
        rest.once(request, "worklist.book", lambda: Response({}))  # another body under this key is refused here
        wanted, found = [], []
        for row in rows:
            opening = from_token(offers[row.course.public_id], row.public_id)
            if opening is None:  # lapsed, or of a session that is no longer the next
                found.append(Result(row, refusal=SlotTaken()))
            else:
                wanted.append(Wanted(row, opening))
        key = request.headers.get("Idempotency-Key", "") or uuid.uuid4().hex
        found += bulk.book(wanted=wanted, key=key, by=self.actor, at=web.now())
        return self._told(request, offers, {one.planned.course.public_id: one for one in found})

    def _told(self, request: Request, offers: Any, found: dict[Any, Result]) -> Response:
        told = []
        for public_id in offers:
            one = found.get(public_id)
            refusal = one.refusal if one is not None else NothingPlanned()
            if one is not None and refusal is not None:
                course = one.planned.course
                web.refused(
                    request, refusal, act=self.act, subject=one.planned, patient=course.patient.public_id, site_id=course.site_id
                )
            told.append(
                {
                    "course": public_id, "appointment": one.case if one is not None else None,
                    "code": refusal.code if refusal is not None else "",
                    "message": refusal.message if refusal is not None else "",
                }
            )  # fmt: skip
        booked = sum(one["appointment"] is not None for one in told)
        return Response(words.BulkOut({"booked": booked, "rows": told}).data)


def bookable(request: Request, *, tab: str = "", only: Sequence[uuid.UUID] = ()) -> list[PlannedSession]:
    """Return rows of the worklist at the asker's sites, as the page reads them."""
    user = web.member(request)
    site = user.sites.order_by("pk").first()
    zone = ZoneInfo(site.time_zone if site is not None else "UTC")
    return worklist.bookable(user=user, at=web.now(), zone=zone, tab=tab, only=only)


def of_courses(request: Request, public_ids: Sequence[uuid.UUID]) -> list[PlannedSession]:
    """Return what comes next in these courses, or refuse the field where the asker may not see one."""
    mine = PlannedSession.objects.filter(is_current=True, course__site__in=web.member(request).sites.all())
    plans = dict(mine.filter(course__public_id__in=public_ids).values_list("course__public_id", "public_id"))
    strange = [str(one) for one in public_ids if one not in plans]
    if strange:
        raise serializers.ValidationError({"courses": [f"There is no course {strange[0]} that you may see."]})
    return bookable(request, only=list(plans.values()))


def _rehearsed(one: Tried) -> dict[str, Any]:
    row, opening = one.planned, one.opening or {}
    return {
        "course": row.course.public_id, "patient": row.course.patient.public_id, "step": row.step, "procedure": row.procedure,
        "starts_at": opening.get("starts_at"), "with_at": (opening.get("removal") or {}).get("starts_at"),
        "physician": opening.get("physician", ""), "room": opening.get("room", ""),
        "waits": list(dict.fromkeys(finding.message for finding in one.waits)), "why_not": one.why_not,
        "offer": token_of(row, opening) if one.opening is not None else "",
    }  # fmt: skip
