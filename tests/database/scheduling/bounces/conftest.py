"""A message that has left, and an empty mailbox for what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from scheduling import messages
from scheduling.models import Message, MessageKind, MessageState
from tests import factories
from tests.factories import NOW


@pytest.fixture
def sent() -> Message:
    """Return a message that has left for vera@example.org."""
    case = factories.appointment(of=factories.patient(email="Vera@Example.org"))
    message = messages.lay_down(appointment=case, kind=MessageKind.CONFIRMATION, at=NOW)
    Message.objects.filter(pk=message.pk).update(state=MessageState.SENT, done_at=timezone.now())
    return Message.objects.select_related("patient", "appointment").get(pk=message.pk)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
    return tmp_path / "box"
