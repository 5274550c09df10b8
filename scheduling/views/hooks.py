"""Where mail providers report what became of our mails: bounces and complaints, in each provider's own form."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import structlog
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from anymail.webhooks.brevo import BrevoTrackingWebhookView
from anymail.webhooks.mailjet import MailjetTrackingWebhookView
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from anymail.webhooks.sendgrid import SendGridTrackingWebhookView
from anymail.webhooks.sparkpost import SparkPostTrackingWebhookView
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from pain_clinic import throttles, web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import open_to_public
from pain_clinic.middleware import client_address
from scheduling import bounces
from scheduling.delivery_reports import BOUNCE, COMPLAINT, OWN_ID, STATUS, Report, is_about_address, key_of
from scheduling.views.answers import MOST_WRONG, WINDOW

log = structlog.get_logger("scheduling.hooks")
PROVIDERS: dict[str, Any] = {
    "brevo": BrevoTrackingWebhookView,
    "mailjet": MailjetTrackingWebhookView,
    "postmark": PostmarkTrackingWebhookView,
    "sendgrid": SendGridTrackingWebhookView,
    "sparkpost": SparkPostTrackingWebhookView,
}
FINAL = frozenset({RejectReason.BOUNCED, RejectReason.INVALID, RejectReason.UNSUBSCRIBED, RejectReason.SPAM})
MOST_EVENTS = 1000


@open_to_public(because="mail providers report bounces here; they show the secret that the operator gave them")
@csrf_exempt
def mail_events(request: HttpRequest, provider: str) -> HttpResponse:
    """Take a provider's events; without a secret in the settings there is no such address."""
    view_class = PROVIDERS.get(provider)
    if view_class is None or not settings.MAIL_WEBHOOK_SECRET:
        raise Http404
    if request.method == "HEAD":
        return HttpResponse()
    if request.method != "POST":
        return HttpResponse(status=405, headers={"Allow": "POST, HEAD"})
    who = client_address(request)
    if throttles.counted("hooks", who) >= MOST_WRONG:
        return HttpResponse(status=429)
    view = view_class(webhook_secret=settings.MAIL_WEBHOOK_SECRET)
    try:
        view.run_validators(request)
        events = view.parse_events(request)
    except AnymailWebhookValidationFailure:
        throttles.count("hooks", who, window=WINDOW)
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Basic realm="mail events"'})
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        log.warning("mail event not read", provider=provider, exc_info=error)
        return HttpResponse(status=400)
    by, at = Actor.system(f"provider {provider}"), web.now()
    for event in events[:MOST_EVENTS]:
        report = report_of(provider, event)
        if report is not None:
            bounces.note(report=report, source=provider, by=by, at=at, is_trusted=True)
    return HttpResponse()


def report_of(provider: str, event: AnymailTrackingEvent) -> Report | None:
    """Return what a provider's event reports, or None when there is nothing to do about it."""
    recipients = (event.recipient.strip().casefold()[:254],) if event.recipient else ()
    key = key_of(provider, event.event_type, _name_of(event), *recipients)
    if event.event_type in {EventType.COMPLAINED, EventType.UNSUBSCRIBED}:
        return Report(key, COMPLAINT, event.event_type, True, _own_id(event), recipients)
    if event.event_type not in {EventType.BOUNCED, EventType.REJECTED, EventType.FAILED}:
        return None
    found = STATUS.search(f"{event.mta_response or ''} {event.description or ''}")
    reason = found[0] if found else str(event.reject_reason or event.event_type)
    is_final = event.reject_reason in FINAL and (found is None or is_about_address(found[0]))
    return Report(key, BOUNCE, reason, is_final, _own_id(event), recipients)


def _own_id(event: AnymailTrackingEvent) -> UUID | None:
    """Return the id of our message: from what we gave along with it, or from its Message-ID."""
    given = str((event.metadata or {}).get("message", ""))
    found = OWN_ID.search(f"<{given}@") or OWN_ID.search(f"<{str(event.message_id or '').strip('<>')}")
    return UUID(found[1]) if found else None


def _name_of(event: AnymailTrackingEvent) -> str:
    """Return the provider's name for an event; one that gives none is known by its whole content."""
    if event.event_id:
        return str(event.event_id)
    return hashlib.sha256(repr(event.esp_event).encode("utf-8", "replace")).hexdigest()
