"""After a restore nothing that may have been sent before is sent again. TRUST O2."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command

from pain_clinic.audit import sealing
from pain_clinic.audit.models import AuditEvent, AuditSeal
from scheduling.models import Message
from tests.database.scheduling.sending.outbox import case, swept
from tests.factories import NOW


def test_database_older_than_the_trails_newest_seal_keeps_back_what_was_due_before_it(
    set_clock: Any, settings: Any, tmp_path: Path
) -> None:
    settings.AUDIT_HEAD_FILE = str(tmp_path / "head")
    old, new = case(planned=False), case(planned=False, at=NOW)
    Message.objects.filter(appointment=old).update(due_at=NOW - timedelta(hours=2))
    Message.objects.filter(appointment=new).update(due_at=NOW - timedelta(minutes=1))
    sealed_at = NOW - timedelta(hours=1)
    Path(settings.AUDIT_HEAD_FILE).write_text(sealing.head_line(AuditSeal.objects.count() + 5, "a" * 64, sealed_at))

    assert swept() == {"sent": 1}

    assert list(Message.objects.order_by("pk").values_list("state", "reason")) == [("skipped", "restored"), ("sent", "")]
    event = AuditEvent.objects.get(act="scheduling.skip_after_restore")
    assert event.details == {"messages": 1, "until": sealed_at.isoformat()}


def test_database_that_holds_the_newest_seal_sends_what_is_due(set_clock: Any, settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_HEAD_FILE = str(tmp_path / "head")
    case(planned=False)
    sealing.seal()

    assert sealing.known_beyond() is None
    assert swept() == {"sent": 1}


def test_operator_without_the_head_file_keeps_back_by_command(set_clock: Any) -> None:
    made, said = case(), StringIO()

    call_command("messages", "--restored", stdout=said)

    assert said.getvalue() == "1 messages left to the desk\n"
    assert swept() == {}
    assert Message.objects.get(appointment=made, step="").state == "skipped"
    assert Message.objects.filter(appointment=made, state="due").count() == 4
