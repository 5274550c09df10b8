"""What every door of scheduling does alike: reach rows, keep request keys, offer openings, tell refusals and successes."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.crypto import salted_hmac

from pain_clinic import keys, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import Site
from pain_clinic.audit import trail
from pain_clinic.errors import Conflict, DomainError, retried
from patients.models import Patient
from procedures.models import Procedure
from procedures.rules import Finding, evidence
from scheduling import agenda, booking, messages, waiting
from scheduling.agenda import words
from scheduling.agenda.shapes import Act, Case, Choice, Line, Meanwhile, OpeningLine, Pair, Refusal, Wait
from scheduling.availability import Opening
from scheduling.booking import staging
from scheduling.booking.judging import OVERRIDES
from scheduling.models import BEFORE_ARRIVAL, PRESENT, Appointment, Kind, MessageKind, Resource
from scheduling.openings import FoundSite, FoundUnit, Options

SALT, TOKEN_LIFE = "scheduling.opening", 30 * 60
NOT_PART_OF_THE_BODY = frozenset({"csrfmiddlewaretoken", "request_key"})
ZONE = "America/New_York"  # of whoever has no site yet
TITLES = {
    "slot_taken": "This time is no longer free",
    "stale": "This case was changed meanwhile",
    "rules_refused": "This cannot be done as it stands",
    "rules_not_asked": "The rules could not be asked",
    "busy": "Somebody is changing this right now",
    "in_progress": "This is being done right now",
    "key_reused": "This form was already sent with other content",
    "invalid_move": "This is no longer possible",
    "hold_ended": "The ten minutes are over",
    "opening_old": "This list is out of date",
    "not_free": "This time is not free",
    "cases_in_the_way": "Booked cases are in the way",
    "name_taken": "This name is taken",
    "same_case": "This is one and the same case",
    "not_moved": "It is there already",
    "absence_over": "There is nothing to end",
    "leaving_open": "This patient may not go yet",
    "not_a_physician": "Only physicians hold privileges",
    "date_over": "This date is over",
    "course_not_running": "This course does not go on",
    "problem_changed": "The course was changed meanwhile",
}
NEXT = {
    "stale": "Look at the case as it is now, then decide.",
    "busy": "Try again in a moment.",
    "in_progress": "Try again in a moment.",
    "key_reused": "Check what you see and send it again.",
    "hold_ended": "Choose the time again.",
    "opening_old": "Choose from the fresh list.",
    "not_free": "Choose a free time near by, or other people and rooms.",
    "cases_in_the_way": "Tick the last box to save anyway.",
    "name_taken": "Choose another name.",
    "rules_refused": "Give a reason where one is asked for, or choose otherwise.",
    "leaving_open": "A nurse or a physician fills in the leaving checklist or gives the reason.",
}


class OpeningOld(Conflict):
    def __init__(self) -> None:
        super().__init__("opening_old", "This time was offered too long ago to be sure of it.")


# --- rows ------------------------------------------------------------------------------------------------------------


def the_case(request: HttpRequest, public_id: uuid.UUID) -> Appointment:
    """Return an appointment at a site of this user, its patient, procedure and site joined; 404 otherwise."""
    mine = Appointment.objects.visible_to(request.user)  # type: ignore[arg-type]
    rows = mine.select_related("patient", "procedure", "site", "completion", "details__problem")
    found: Appointment = get_object_or_404(rows, public_id=public_id)
    web.show_site(request, found.site)
    return found


def the_patient(request: HttpRequest, public_id: uuid.UUID) -> Patient:
    """Return a patient whom this user may see; 404 otherwise."""
    rows = Patient.objects.visible_to(request.user).select_related("home_site")  # type: ignore[arg-type]
    found: Patient = get_object_or_404(rows, public_id=public_id)
    return found


def shown(request: HttpRequest, appointment: Appointment, **parts: Any) -> Case:
    """Return the case as its pages show it."""
    by, at = Actor.of(request), web.now()
    case = agenda.case(appointment=appointment, user=web.member(request), by=by, at=at, reasons=messages.reason_in_words)
    if by.may("scheduling.view_messages") and appointment.status in (*BEFORE_ARRIVAL, *PRESENT):
        case = replace(case, messages_after=_mails_after(appointment, at))
    return replace(case, **parts) if parts else case


def read(request: HttpRequest, appointment: Appointment) -> None:
    """Record that somebody opened a case."""
    trail.record(
        by=Actor.of(request),
        act=agenda.READ,
        subject=appointment,
        patient=appointment.patient.public_id,
        site_id=appointment.site_id,
    )


def seal(request: HttpRequest, public_id: uuid.UUID | None) -> str:
    """Return a word that only we can make: in this session, the board with this case was shown and its reading recorded.

    A poll of the board carries it and is then no second reading; who has not opened the case cannot poll it in secret.
    """
    told = f"{request.user.pk}|{request.session.session_key}|{public_id or ''}"
    return salted_hmac("scheduling.board.opened", told, algorithm="sha256").hexdigest()[:20]


# --- request keys ----------------------------------------------------------------------------------------------------


def new_key() -> str:
    return uuid.uuid4().hex


def zone_of(request: HttpRequest) -> ZoneInfo:
    """Return the time zone in which somebody reads times that belong to no site: that of their first site."""
    sites = web.sites_of(request)
    return ZoneInfo(sites[0].time_zone if sites else ZONE)


def on_the_wall(request: HttpRequest, versions: Sequence[Any]) -> list[Any]:
    """Return versions of something with their instants in the zone of who reads them."""
    zone = zone_of(request)
    return [replace(one, at=one.at.astimezone(zone)) for one in versions]


def key_of(request: HttpRequest) -> str:
    """Return the key that the form carries, a new one for a form that carries none."""
    given = request.POST.get("request_key", "")
    return given if 8 <= len(given) <= 120 and given.isprintable() else new_key()


def act_once(request: HttpRequest, verb: str, produce: Callable[[], Any]) -> uuid.UUID:
    """Carry out an act once per request key and return the public id of the row it made or changed."""
    by = Actor.of(request)
    body = sorted((name, values) for name, values in request.POST.lists() if name not in NOT_PART_OF_THE_BODY)
    digest = hashlib.sha256(json.dumps([request.path, body]).encode()).hexdigest()
    key = key_of(request)

    def answer() -> keys.Answer:
        return keys.Answer(status=303, text=str(produce().public_id))

    kept = retried(lambda: keys.once(by=by, verb=verb, key=key, body_hash=digest, produce=answer, at=web.now()))
    return uuid.UUID(kept.text)


def once(request: HttpRequest, verb: str, produce: Callable[[], Appointment]) -> Appointment:
    """Carry out an act on a case once per request key and return the case as it is then."""
    return the_case(request, act_once(request, verb, produce))


# --- findings and refusals -------------------------------------------------------------------------------------------


def line_of(finding: Finding, by: Actor, typed: Mapping[str, tuple[bool, str, str]]) -> Line:
    """Return a finding as a page shows it, with what was typed about it."""
    ticked, reason, text = typed.get(finding.key, (False, "", ""))
    severity = "structural" if finding.structural else "pending" if finding.pending else finding.severity.value
    can_waive = finding.refuses and not finding.structural and by.may(OVERRIDES[finding.severity])
    return Line(
        severity=severity,
        code=finding.key,
        message=finding.message,
        evidence="" if finding.structural else evidence.line(finding.evidence),
        earliest=finding.earliest,
        source="" if finding.source == "booking" else finding.source,
        can_waive=can_waive,
        is_waived=ticked,
        reason=reason,
        text=text,
        reasons=tuple(Choice(code, label, code == reason) for code, label in agenda.WAIVER_REASONS.items()) if can_waive else (),
    )


def waits_of(findings: Iterable[Finding], arrives_at: datetime, at: datetime, zone: ZoneInfo) -> tuple[Wait, ...]:
    """Return what a case would wait for, by whose work it is."""
    return tuple(
        Wait(str(group.kind.label), str(group.role.label), group.due_at.astimezone(zone), group.texts)
        for group in waiting.grouped(findings, arrives_at, at)
    )


def refusal_of(
    error: DomainError,
    *,
    kept: str = "Nothing was changed; what you typed is still here.",
    lines: Sequence[Line] = (),
    changes: Sequence[Meanwhile] = (),
) -> Refusal:
    """Return a refusal in words: what happened, what was kept, what to do; for a stale case what others did to it."""
    title = TITLES.get(error.code, "This was refused")
    told = tuple(changes) if error.code in ("stale", "invalid_move") else ()
    return Refusal(error.code, title, error.message, kept, NEXT.get(error.code, ""), tuple(lines), told)


changes_since = agenda.changes_since


def refused(
    request: HttpRequest, error: DomainError, *, act: str, case: Appointment | None = None, patient: Patient | None = None
) -> None:
    """Record a refusal once, with whom and what it concerned."""
    whom = case.patient if case is not None else patient
    web.refused(
        request, error, act=act, subject=case, patient=whom.public_id if whom else None, site_id=case.site_id if case else None
    )


# --- openings --------------------------------------------------------------------------------------------------------


def token_of(opening: Opening) -> str:
    """Return an opening as a signed text that a form can carry for half an hour."""
    packed = {
        "s": opening.site,
        "t": int(opening.starts_at.timestamp()),
        "u": {key: list(units) for key, units in opening.units.items()},
    }
    return signing.dumps(packed, salt=SALT, compress=True)


def from_token(request: HttpRequest, token: str) -> tuple[Site, datetime, frozenset[int]]:
    """Return site, start and units of an offered opening.

    Raises:
        OpeningOld: the offer has lapsed or is not ours.
    """
    try:
        packed = signing.loads(token, salt=SALT, max_age=TOKEN_LIFE)
    except signing.BadSignature as error:
        raise OpeningOld from error
    site = Site.objects.visible_to(request.user).filter(pk=packed["s"]).first()
    if site is None:
        raise Http404
    starts_at = datetime.fromtimestamp(packed["t"], tz=ZoneInfo("UTC"))
    return site, starts_at, frozenset(unit for units in packed["u"].values() for unit in units)


REASON_WORDS = {"first": "first free", "earliest": "first free"}


def _short(reason: str, lead: str) -> str:
    """Return a reason without what the line says already."""
    told = reason.removeprefix(f"{lead} is ").removeprefix(f"{lead} has ").replace(" is kept for what needs it", " kept free")
    return told.replace("_", " ")


def offer(
    opening: Opening,
    units: Mapping[int, FoundUnit],
    sites: Mapping[int, FoundSite],
    *,
    is_chosen: bool = False,
    is_first: bool = False,
) -> OpeningLine:
    """Return an opening as a page offers it, in its site's wall time."""
    site = sites[opening.site]
    zone = ZoneInfo(site.time_zone)
    used = [units[pk] for pks in opening.units.values() for pk in pks if pk in units]

    def named(*kinds: str, is_short: bool = True) -> str:
        return ", ".join(dict.fromkeys(unit.short_name if is_short else unit.name for unit in used if unit.kind in kinds))

    shown_kinds = (Kind.PHYSICIAN, Kind.ROOM, *words.DEVICES)
    others = ", ".join(dict.fromkeys(unit.short_name for unit in used if unit.kind not in shown_kinds))
    lead = named(Kind.PHYSICIAN, is_short=False)
    why = ", ".join(_short(REASON_WORDS.get(reason, reason), lead) for reason in opening.reasons)
    return OpeningLine(
        token=token_of(opening),
        starts_at=opening.starts_at.astimezone(zone),
        ends_at=opening.ends_at.astimezone(zone),
        arrives_at=opening.arrives_at.astimezone(zone),
        leaves_at=opening.leaves_at.astimezone(zone),
        site=site.name,
        physician=lead,
        room=named(Kind.ROOM),
        devices=named(*words.DEVICES),
        others=others,
        why=why or ("first free" if is_first else ""),
        is_chosen=is_chosen,
    )


def options_of(row: Appointment) -> Options:
    """Return how a case is to be done, where that changes what it takes."""
    return Options(sedation=row.sedation, guidance=row.guidance)


def previewed(row: Appointment, opening: Opening, by: Actor) -> tuple[Finding, ...]:
    return booking.preview(
        patient=row.patient,
        procedure=row.procedure,
        target=staging.target_of(row),
        opening=opening,
        by=by,
        at=web.now(),
        appointment=row,
    )


def mails_of(*, patient: Patient, procedure: Procedure, opening: Opening, zone: str, at: datetime) -> str:
    """Return in one line which planned mails a case booked here would bring the patient, and when."""
    found = messages.suppose(
        patient=patient.pk, procedure=procedure.pk, site=opening.site, arrives_at=opening.arrives_at,
        starts_at=opening.starts_at, at=at,
    )  # fmt: skip
    local = ZoneInfo(zone)
    parts = [
        f"{MessageKind(each.kind).label.lower()} {words.stamp(each.at.astimezone(local))}" for each in found if not each.why_not
    ]
    return f"Then: {', '.join(parts)}." if parts else ""


def _mails_after(appointment: Appointment, at: datetime) -> tuple[Pair, ...]:
    """Return which mails follow once the visit is over, and when; they are laid down when the patient leaves."""
    zone = ZoneInfo(appointment.site.time_zone)
    return tuple(
        Pair(str(MessageKind(each.kind).label), words.stamp(each.at.astimezone(zone)))
        for each in messages.after_visit(appointment=appointment, at=at)
        if not each.why_not
    )


def offer_of(opening: Opening, row: Appointment) -> OpeningLine:
    """Return an opening of a case's own site as a page shows it, names read for it."""
    wanted = {pk for pks in opening.units.values() for pk in pks}
    units = {
        each.pk: FoundUnit(each.pk, each.public_id, each.kind, each.name, each.short_name)
        for each in Resource.objects.filter(pk__in=wanted)
    }
    return offer(opening, units, {opening.site: site_of(row)})


def site_of(row: Appointment) -> FoundSite:
    return FoundSite(row.site_id, row.site.public_id, row.site.name, row.site.time_zone)


def told(opening: OpeningLine) -> str:
    """Return an opening as a button says it: "Thu 26 Nov 8:15, Dr. A, Room 2"."""
    return ", ".join(part for part in (words.stamp(opening.starts_at), opening.physician, opening.room) if part)


# --- answers ---------------------------------------------------------------------------------------------------------


def is_in_panel(request: HttpRequest) -> bool:
    """Say whether the act came from the details panel of the board."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and urlsplit(htmx.current_url or "").path == reverse("scheduling:board")


def trigger(public_id: uuid.UUID) -> str:
    return json.dumps({"clinic:changed": {"case": str(public_id)}})


def changed(request: HttpRequest, appointment: Appointment) -> HttpResponse:
    """Answer a successful act on a case: the panel on the board, else a move to the case's page."""
    if not is_in_panel(request):
        return web.redirect_to(request, words.case_url(appointment.public_id))
    response = render(request, "scheduling/_case_panel.html", {"case": shown(request, appointment)})
    response["HX-Retarget"] = "#case-panel"
    response["HX-Reswap"] = "outerHTML"
    response["HX-Trigger"] = trigger(appointment.public_id)
    return response


def not_changed(
    request: HttpRequest, appointment: Appointment, error: DomainError, *, seen: int = 0, ways: tuple[Act, ...] = ()
) -> HttpResponse:
    """Answer a refused one-button act: the case as it is, with the refusal, the ways on and its true status."""
    now = the_case(request, appointment.public_id)
    refusal = refusal_of(error, kept="Nothing was changed.", changes=changes_since(now, seen) if seen else ())
    case = shown(request, now, refusal=refusal, ways=ways)
    if getattr(request, "htmx", None) and request.htmx.target == "case-panel":  # type: ignore[attr-defined]
        return render(request, "scheduling/_case_panel.html", {"case": case}, status=error.status)
    return web.respond(request, "scheduling/appointment.html", {"case": case}, status=error.status)
