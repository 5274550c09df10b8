"""Calendar feeds: the page that makes and ends them, and the addresses themselves."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date

from django import forms
from django.contrib import messages as toasts
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pain_clinic import throttles, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import open_to_public, requires
from pain_clinic.accounts.models import User
from pain_clinic.errors import DomainError
from pain_clinic.middleware import client_address
from scheduling import feeds as verbs
from scheduling.models import CalendarFeed, Resource
from scheduling.views.answers import MOST_WRONG, WINDOW


class FeedForm(forms.Form):
    resource = forms.ModelChoiceField(
        queryset=Resource.objects.none(), to_field_name="public_id", label="Whose times", empty_label="Choose"
    )

    def __init__(self, *args: object, user: User) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # data or nothing
        self.fields["resource"].queryset = _choices(user)  # type: ignore[attr-defined]  # a ModelChoiceField has one


@dataclass(frozen=True, slots=True)
class FeedShown:
    public_id: uuid.UUID
    name: str
    made_on: date
    used_on: date | None


@require_http_methods(["GET", "POST"])
@requires("scheduling.make_feed")
def feeds(request: HttpRequest) -> HttpResponse:
    """List one's own calendar addresses and make a new one, shown this once."""
    user = web.member(request)
    form, address, status = FeedForm(user=user), "", 200
    if request.method == "POST":
        form = FeedForm(request.POST, user=user)
        if form.is_valid():
            resource = form.cleaned_data["resource"]
            try:
                address = verbs.make(user=user, resource=resource, by=Actor.of(request), at=web.now())
                form = FeedForm(user=user)
            except DomainError as error:
                web.refused(request, error, act="scheduling.make_feed", subject=resource)
                form.add_error("resource", error.message)
        status = 200 if address else 422
    rows = CalendarFeed.objects.in_force().filter(user=user).select_related("resource__site").order_by("-created_at", "-pk")
    shown = [_shown(row) for row in rows]
    return web.respond(request, "scheduling/feeds.html", {"form": form, "feeds": shown, "address": address}, status=status)


def _shown(feed: CalendarFeed) -> FeedShown:
    day_at = feed.resource.site.day_at
    return FeedShown(
        feed.public_id, feed.resource.name, day_at(feed.created_at), day_at(feed.used_at) if feed.used_at else None
    )  # fmt: skip


@require_POST
@requires("scheduling.make_feed")
def feed_revoke(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """End one of one's own addresses."""
    feed = get_object_or_404(CalendarFeed.objects.select_related("resource"), public_id=public_id, user=web.member(request))
    verbs.revoke(feed=feed, by=Actor.of(request), at=web.now())
    toasts.success(request, "The calendar address has ended.")
    return web.redirect_to(request, "scheduling:feeds")


@require_safe
@open_to_public(because="calendar programs cannot sign in; the secret in the address is the key, and the file names nobody")
def feed_file(request: HttpRequest, secret: str) -> HttpResponse:
    """Give the times of a physician or room to a calendar program."""
    who = client_address(request)
    if throttles.counted("feeds", who) >= MOST_WRONG:
        return HttpResponse(status=429, headers={"Retry-After": str(int(WINDOW.total_seconds()))})
    try:
        text = verbs.read(secret=secret, at=web.now())
    except DomainError as error:
        throttles.count("feeds", who, window=WINDOW)
        return HttpResponse(error.message, status=error.status, content_type="text/plain; charset=utf-8")
    response = HttpResponse(text, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'inline; filename="times.ics"'
    response["Referrer-Policy"] = "no-referrer"
    return response


def _choices(user: User) -> QuerySet[Resource]:
    return Resource.objects.visible_to(user).active().filter(kind__in=verbs.KINDS).distinct().in_order()
