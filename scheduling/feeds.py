"""Calendar feeds of a physician or room: made by who may see the board, read without signing in, naming nobody."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit import trail
from pain_clinic.errors import Forbidden, Gone, Refused
from scheduling import calendars
from scheduling.calendars import Busy
from scheduling.models import AWAY, Allocation, CalendarFeed, Kind, Resource

KINDS = (Kind.PHYSICIAN, Kind.ROOM)
BACK, AHEAD = timedelta(days=30), timedelta(days=180)
MAY = "scheduling.make_feed"


class FeedGone(Gone):
    """No feed has this secret, or its owner may no longer read it."""

    status = 404

    def __init__(self) -> None:
        super().__init__("feed_gone", "This calendar address is not in force.")


def make(*, user: User, resource: Resource, by: Actor, at: datetime) -> str:
    """Return the address of a new feed; an older one of the same person and resource ends.

    Raises:
        Forbidden: the actor may not, or does not see the resource.
        Refused: it is neither a physician nor a room.
    """
    _must_be_allowed(by)
    if resource.kind not in KINDS:
        raise Refused("not_a_feed", "Calendars are there for physicians and rooms.")
    if not Resource.objects.visible_to(user).filter(pk=resource.pk).exists():
        raise Forbidden("not_your_site", "This is not at a site of yours.")
    secret = CalendarFeed.make_secret()
    with transaction.atomic():
        CalendarFeed.objects.in_force().filter(user=user, resource=resource).update(revoked_at=at)
        feed = CalendarFeed.objects.create(
            user=user, resource=resource, digest=CalendarFeed.digest_of(secret), created_at=at
        )  # fmt: skip
        _record("scheduling.make_feed", feed, by)
    return f"{settings.BASE_URL}/feeds/{secret}.ics"


def revoke(*, feed: CalendarFeed, by: Actor, at: datetime) -> None:
    """End a feed; its address opens nothing any more. Ending it twice is fine."""
    _must_be_allowed(by)
    with transaction.atomic():
        if CalendarFeed.objects.in_force().filter(pk=feed.pk).update(revoked_at=at):
            _record("scheduling.revoke_feed", feed, by)


def read(*, secret: str, at: datetime) -> bytes:
    """Return the calendar that a secret opens; its first reading of a day is recorded.

    Raises:
        FeedGone: there is none, it was ended, or its owner has left, lost the right, or no longer sees the resource.
    """
    feed = (
        CalendarFeed.objects.in_force()
        .filter(digest=CalendarFeed.digest_of(secret))
        .select_related("user", "resource__site")
        .first()
    )
    if feed is None or not feed.user.is_active or not feed.user.has_perm(MAY):
        raise FeedGone
    if not Resource.objects.visible_to(feed.user).filter(pk=feed.resource_id).exists():
        raise FeedGone
    day_at = feed.resource.site.day_at
    if feed.used_at is None or day_at(feed.used_at) != day_at(at):
        with transaction.atomic():
            CalendarFeed.objects.filter(pk=feed.pk).update(used_at=at)
            _record("scheduling.read_feed", feed, Actor.of_user(feed.user))
    return calendars.feed_file(
        name=feed.resource.name, zone=feed.resource.site.time_zone, events=busy_times(feed.resource, feed.user, at), stamped_at=at
    )


def busy_times(resource: Resource, user: User, at: datetime) -> tuple[Busy, ...]:
    """Return when a resource is taken at this user's sites, by whom in initials, and with which other unit."""
    rows = list(
        Allocation.objects.filter(
            resource=resource, site__in=user.sites.all(), released_at=None, appointment__isnull=False,
            starts_at__lt=at + AHEAD, ends_at__gt=at - BACK,
        )
        .exclude(appointment__status__in=AWAY)
        .select_related("appointment__patient", "site")
        .order_by("starts_at", "pk")
    )  # fmt: skip
    other = Kind.ROOM if resource.kind == Kind.PHYSICIAN else Kind.PHYSICIAN
    beside: dict[int, list[str]] = defaultdict(list)
    named = Allocation.objects.filter(
        appointment__in=[row.appointment_id for row in rows], kind=other, released_at=None
    ).order_by("pk")  # fmt: skip
    for appointment, name in named.values_list("appointment_id", "resource__short_name"):
        if name not in beside[appointment]:
            beside[appointment].append(name)
    spans: dict[int, list[Allocation]] = defaultdict(list)
    for row in rows:
        spans[row.appointment_id or 0].append(row)
    found = []
    for group in spans.values():
        case = group[0].appointment
        assert case is not None
        found.append(
            Busy(
                uid=f"{case.public_id}.{resource.public_id}",
                sequence=case.calendar_sequence,
                starts_at=min(row.starts_at for row in group),
                ends_at=max(row.ends_at for row in group),
                summary=", ".join([initials(case.patient.first_name, case.patient.last_name), *beside[case.pk]]),
                location=group[0].site.name,
            )
        )
    return tuple(sorted(found, key=lambda busy: (busy.starts_at, busy.uid)))


def initials(*names: str) -> str:
    """Return the first letter of each name with a dot."""
    return " ".join(f"{name.strip()[:1].upper()}." for name in names if name.strip())


def _must_be_allowed(by: Actor) -> None:
    if not by.may(MAY):
        raise Forbidden("not_allowed", "You may not make calendar addresses.")


def _record(act: str, feed: CalendarFeed, by: Actor) -> None:
    trail.record(
        by=by, act=act, subject=feed, site_id=feed.resource.site_id, details={"resource": str(feed.resource.public_id)}
    )  # fmt: skip
