"""The trail and its seals: TRUST U1 to U6."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction
from django.test import Client

from pain_clinic import statements
from pain_clinic.accounts import staff
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import User
from pain_clinic.audit import grants, sealing, trail
from pain_clinic.audit.models import AuditEvent, AuditSeal
from tests import factories

SYSTEM = Actor.system("test")


@pytest.fixture(autouse=True)
def head(tmp_path: Path, settings: object) -> Path:
    path = tmp_path / "heads" / "audit-head.txt"
    settings.AUDIT_HEAD_FILE = str(path)
    return path


def events(count: int) -> list[AuditEvent]:
    return [trail.record(by=SYSTEM, act=f"test.act_{number}") for number in range(count)]


def tampered(sql: str, *values: object) -> None:
    """Do what only a superuser can: write with the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("audit_auditevent", "audit_auditseal"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(sql, values)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("audit_auditevent", "audit_auditseal"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def fault() -> str:
    return sealing.verify().fault


def test_event_says_who_when_where_what_and_on_whom(client: Client) -> None:
    user = factories.user(role="admin", username="eve")
    actor = Actor.of_user(user, address="192.0.2.9", request_id="r" * 12)
    made = staff.create(
        username="new.one", display_name="New", roles=["desk"], sites=[], password="x" * 20, by=actor, at=factories.NOW
    )
    event = AuditEvent.objects.get(act="accounts.create_staff")
    assert (event.user, event.actor_name, event.address, event.request_id) == (user, "eve", "192.0.2.9", "r" * 12)
    assert (event.subject_kind, event.subject_id, event.outcome) == ("accounts.user", made.public_id, "done")
    assert event.details == {"roles": ["desk"]}


@pytest.mark.parametrize("table", ["audit_auditevent", "audit_auditseal"])
@pytest.mark.parametrize("act", ["UPDATE {} SET id = id", "DELETE FROM {}"])
def test_database_refuses_to_change_or_remove_events_even_for_the_owner(table: str, act: str) -> None:
    events(1)
    sealing.seal()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(act.format(table))


def test_seal_chains_every_event_once_and_the_chain_holds() -> None:
    events(3)
    assert (sealing.seal(), sealing.seal()) == (3, 0)
    events(2)
    assert sealing.seal() == 2
    assert list(AuditSeal.objects.order_by("position").values_list("position", flat=True)) == [1, 2, 3, 4, 5]
    verdict = sealing.verify()
    assert (verdict.fault, verdict.sealed, verdict.unsealed) == ("", 5, 0)


def test_verify_tells_how_many_are_unsealed() -> None:
    events(2)
    assert (sealing.verify().unsealed, fault()) == (2, "")


@pytest.mark.parametrize("column", ["act", "actor_name", "reason_code", "address", "request_id", "subject_kind"])
def test_verify_names_a_changed_event(column: str) -> None:
    changed = events(3)[1]
    sealing.seal()
    tampered(f"UPDATE audit_auditevent SET {column} = 'other' WHERE id = %s", changed.pk)
    assert fault() == f"position 2: event {changed.pk} is not as it was sealed"


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 second'",
        "outcome = 'refused'",
        "details = '{\"a\": 1}'",
        "site_id = 4",
        "patient_id = gen_random_uuid()",
        "context_id = gen_random_uuid()",
    ],
)
def test_verify_names_a_change_in_any_column(change: str) -> None:
    changed = events(3)[2]
    sealing.seal()
    tampered(f"UPDATE audit_auditevent SET {change} WHERE id = %s", changed.pk)
    assert fault() == f"position 3: event {changed.pk} is not as it was sealed"


def test_verify_names_a_hole_in_the_middle() -> None:
    gone = events(3)[1]
    sealing.seal()
    tampered("DELETE FROM audit_auditseal WHERE event_id = %s", gone.pk)
    tampered("DELETE FROM audit_auditevent WHERE id = %s", gone.pk)
    assert fault() == "position 2 is missing (next found: 3)"


def test_verify_misses_no_cut_off_tail_because_the_head_is_kept_elsewhere() -> None:
    gone = events(3)[2]
    sealing.seal()
    tampered("DELETE FROM audit_auditseal WHERE event_id = %s", gone.pk)
    tampered("DELETE FROM audit_auditevent WHERE id = %s", gone.pk)
    assert fault() == "positions 3 to 3 are missing: the head file knows them"


def test_verify_names_a_lost_tail_that_was_sealed_anew() -> None:
    gone = events(3)[2]
    sealing.seal()
    tampered("DELETE FROM audit_auditseal WHERE event_id = %s", gone.pk)
    tampered("DELETE FROM audit_auditevent WHERE id = %s", gone.pk)
    events(1)
    sealing.seal()
    assert fault() == "position 3: the head file knows two different links, the trail was cut and sealed anew"


def test_next_run_writes_the_head_that_a_crash_left_out(head: Path) -> None:
    events(2)
    sealing.seal()
    head.write_text("")
    sealing.seal()
    assert head.read_text().startswith("2 ")
    assert fault() == ""


def test_verify_names_two_swapped_events() -> None:
    first, second, _third = events(3)
    sealing.seal()
    tampered(
        "UPDATE audit_auditevent AS e SET act = o.act FROM audit_auditevent AS o WHERE (e.id, o.id) IN ((%s, %s), (%s, %s))",
        first.pk,
        second.pk,
        second.pk,
        first.pk,
    )
    assert fault() == f"position 1: event {first.pk} is not as it was sealed"


def test_chain_forged_without_the_key_does_not_hold(settings: object, head: Path) -> None:
    events(3)
    sealing.seal()
    true_key, heads = settings.AUDIT_KEY, head.read_text()
    tampered("DELETE FROM audit_auditseal")
    tampered("UPDATE audit_auditevent SET actor_name = 'somebody else'")
    head.unlink()
    settings.AUDIT_KEY = "guessed-key-0123456789-abcdefghijklmnopqrstuv"
    sealing.seal()
    assert fault() == ""
    forged = head.read_text()
    settings.AUDIT_KEY = true_key
    first = AuditEvent.objects.order_by("pk").first()
    assert fault() == f"position 1: event {first.pk} is not as it was sealed"
    head.write_text(heads)
    assert fault() == f"position 1: event {first.pk} is not as it was sealed"
    tampered("DELETE FROM audit_auditseal")
    head.write_text(forged)
    assert fault() == "line 1 of the head file is not ours"


def test_verify_wants_the_head_file(head: Path) -> None:
    events(1)
    sealing.seal()
    head.unlink()
    assert "head file is missing" in fault()


def test_command_exits_one_and_names_the_place() -> None:
    changed = events(2)[0]
    sealing.seal()
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert out.getvalue().splitlines()[0].startswith("2 sealed, 0 unsealed")
    tampered("UPDATE audit_auditevent SET act = 'x' WHERE id = %s", changed.pk)
    with pytest.raises(CommandError, match="position 1") as refusal:
        call_command("verify_audit", stdout=out)
    assert refusal.value.returncode == 1


def test_act_fails_when_its_event_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    user = factories.user(role="desk")

    def refuse(*_args: object, **_values: object) -> None:
        raise DatabaseError("no room")

    monkeypatch.setattr(statements, "insert", refuse)
    with pytest.raises(DatabaseError):
        staff.end_sessions(user=user, by=Actor.of_user(user), at=factories.NOW)
    assert User.objects.get(pk=user.pk).session_epoch == 0


@pytest.mark.django_db(transaction=True)
def test_twenty_writers_at_once_lose_nothing_and_fork_nothing() -> None:
    ready, failures = threading.Barrier(21), []

    def write() -> None:
        try:
            ready.wait()
            for _ in range(5):
                with transaction.atomic():
                    trail.record(by=SYSTEM, act="test.at_once")
        except BaseException as error:  # noqa: BLE001  # the main thread reports it
            failures.append(error)
        finally:
            connection.close()

    def seal() -> None:
        try:
            ready.wait()
            for _ in range(10):
                sealing.seal()
        except BaseException as error:  # noqa: BLE001  # the main thread reports it
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(20)] + [threading.Thread(target=seal)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealing.seal()
    verdict = sealing.verify()
    assert failures == []
    assert (verdict.fault, verdict.sealed, verdict.unsealed) == ("", 100, 0)


# --- the application's own role --------------------------------------------------------------------------------------
@pytest.fixture
def app(transactional_db: None) -> Callable[[str], str]:
    """Return a function that runs SQL as the application's role and gives the SQLSTATE, `` when it was allowed."""
    role = grants.application_role()
    if grants.give(role) == 0:
        pytest.skip("the application and the owner are one role here")
    values = connection.get_connection_params()
    link = psycopg2.connect(host=values.get("host", ""), dbname=values["dbname"], user=role)
    link.autocommit = True

    def run(statement: str) -> str:
        with link.cursor() as cursor:
            try:
                cursor.execute(statement)
            except psycopg2.Error as error:
                return str(error.pgcode)
            return ""

    yield run
    link.close()


REFUSED = "42501"


@pytest.mark.parametrize("table", ["audit_auditevent", "audit_auditseal", "patients_patientevent"])
@pytest.mark.parametrize(
    "act",
    [
        "UPDATE {} SET {} = {}",
        "DELETE FROM {}",
        "TRUNCATE {} CASCADE",
        "ALTER TABLE {} DISABLE TRIGGER USER",
        "DROP TABLE {} CASCADE",
    ],
)
def test_application_role_cannot_rewrite_the_trail_or_the_history(app: Callable[[str], str], table: str, act: str) -> None:
    column = "pgh_id" if table.startswith("patients") else "id"
    statement = act.format(table, column, column)
    assert app(statement) == REFUSED


def test_application_role_is_no_owner_and_makes_nothing(app: Callable[[str], str]) -> None:
    assert app("CREATE TABLE mine (id int)") == REFUSED
    assert app("SET session_replication_role = replica") == REFUSED
    assert app("DROP FUNCTION audit_refuse() CASCADE") == REFUSED
    assert app("DELETE FROM django_migrations") == REFUSED
    with connection.cursor() as cursor:
        role = grants.application_role()
        cursor.execute("SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = %s", [role])
        assert cursor.fetchone() == (False, False, False, False)


def test_application_role_can_do_its_work(app: Callable[[str], str]) -> None:
    assert app("SELECT count(*) FROM audit_auditevent") == ""
    assert (
        app(
            "INSERT INTO audit_heartbeat (name, at) VALUES ('app', now()); UPDATE audit_heartbeat SET at = clinic_now();"
            " DELETE FROM audit_heartbeat"
        )
        == ""
    )
    assert (
        app(
            "INSERT INTO audit_auditevent (at, actor_kind, actor_name, act, outcome, subject_kind, reason_code, address,"
            " request_id,"
            " details) VALUES (now(), 'system', 'x', 'test.x', 'done', '', '', '', '', '{}')"
        )
        == ""
    )


def test_key_is_not_in_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_settings WHERE setting LIKE %s", [f"%{django_settings.AUDIT_KEY[:12]}%"])
        assert cursor.fetchone() == (0,)
