"""Remove what the doors remember longer than they need."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.sessions.models import Session

from pain_clinic.accounts.models import KeptInput, RequestKey

KEPT_INPUT_LASTS = timedelta(hours=12)


def tidy(*, at: datetime) -> dict[str, int]:
    """Remove ended sessions, request keys and kept input past their time; return how many of each."""
    return {
        "sessions": Session.objects.filter(expire_date__lt=at).delete()[0],
        "request_keys": RequestKey.objects.filter(created_at__lt=at - settings.REQUEST_KEYS_KEPT).delete()[0],
        "kept_inputs": KeptInput.objects.filter(kept_at__lt=at - KEPT_INPUT_LASTS).delete()[0],
    }
