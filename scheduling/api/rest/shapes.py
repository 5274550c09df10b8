"""What many operations have in common: a list, page by page, whose reading is recorded; an act on one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from pain_clinic import rest, rest_rules
from pain_clinic.audit import trail

Row = TypeVar("Row")


def page_of(
    view: rest.View,
    request: Request,
    rows: QuerySet[Any],
    shape: type[serializers.Serializer[object]],
    *,
    act: str = "",
    shown: Callable[[Sequence[Any]], Iterable[Any]] = tuple,
) -> Response:
    """Return one page of rows as `shape` gives them. `act` leaves one event with how many were read."""
    pages = rest_rules.Pages()
    found = list(pages.paginate_queryset(rows, request, view) or ())
    if act:
        trail.record(by=view.actor, act=act, details={"count": len(found)})
    return pages.get_paginated_response(shape(list(shown(found)), many=True).data)


class Act(rest.View, Generic[Row]):
    """An act on one row: find it, check its version where it must be known, one verb, answer."""

    noun = ""  # of the address: request keys are told apart by it
    given: type[serializers.Serializer[object]] | None = None
    must_know = True

    def found(self, request: Request, public_id: str) -> Row:
        """Return the row of this id that the asker may see; 404 otherwise."""
        raise NotImplementedError

    def told(self, request: Request, row: Row) -> Response:
        """Answer with a row that a verb has changed."""
        raise NotImplementedError

    def act_on(self, request: Request, public_id: str, verb: Callable[[Row, dict[str, Any]], Any]) -> Response:
        row = self.found(request, public_id)
        values: dict[str, Any] = {}
        if self.given is not None:
            given = self.given(data=request.data)
            given.is_valid(raise_exception=True)
            values = given.validated_data

        def produce() -> Response:
            rest.check_version(request, row.version, must=self.must_know)  # type: ignore[attr-defined]  # every row has one
            verb(row, values)
            return self.told(request, row)

        name = f"{self.noun}.{type(self).__name__.lower()}:{public_id}"
        return rest.once(request, name, produce)  # type: ignore[return-value]
