"""What the application's own database role may do: work with rows, own nothing, and never rewrite the trail."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from pghistory.models import Event
from psycopg2 import sql  # type: ignore[import-untyped]

from pain_clinic.audit.models import AuditEvent, AuditSeal

READ_ONLY = ("django_migrations",)


def application_role() -> str:
    """Return the role that `DATABASE_URL` names."""
    return unquote(urlsplit(settings.DATABASE_URL).username or "")


def append_only_tables() -> list[str]:
    """Return the tables to which the application may only add: the trail, its seals, the row history."""
    history = [model._meta.db_table for model in apps.get_models() if issubclass(model, Event) and model._meta.managed]
    return [AuditEvent._meta.db_table, AuditSeal._meta.db_table, *history]


def give(role: str) -> int:
    """Grant the role what it needs on every table and return how many there are; nothing when it owns the schema."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user = %s, to_regrole(%s) IS NULL", [role, f'"{role}"'])
        is_owner, is_unknown = cursor.fetchone()
        if is_owner or is_unknown or not role:
            return 0
        name = sql.Identifier(role)
        cursor.execute(
            "SELECT c.relname, c.relkind FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace"
            " AND c.relkind IN ('r', 'p', 'v', 'S') AND pg_has_role(current_user, c.relowner, 'USAGE') ORDER BY 1"
        )
        found = cursor.fetchall()
        tables = [relname for relname, kind in found if kind != "S"]
        append_only = set(append_only_tables())
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
        cursor.execute(sql.SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC, {}").format(name))
        for table in tables:
            rights = "SELECT, INSERT, UPDATE, DELETE"
            if table in append_only:
                rights = "SELECT, INSERT"
            elif table in READ_ONLY:
                rights = "SELECT"
            one = sql.Identifier(table)
            cursor.execute(sql.SQL("REVOKE ALL ON {} FROM PUBLIC, {}").format(one, name))
            cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), one, name))
        for sequence, kind in found:
            if kind == "S":
                cursor.execute(sql.SQL("GRANT USAGE, SELECT ON SEQUENCE {} TO {}").format(sql.Identifier(sequence), name))
        return len(tables)
