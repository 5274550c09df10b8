"""Request keys: the same request, sent twice, acts once and is answered alike (decision 0004)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import OperationalError, connection, transaction

from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.models import RequestKey
from pain_clinic.errors import LOCK_NOT_AVAILABLE, Conflict, Refused, sqlstate


class KeyReused(Refused):
    def __init__(self) -> None:
        super().__init__("key_reused", "This request key was used for another request.")


class KeyMalformed(Refused):
    def __init__(self) -> None:
        super().__init__("key_malformed", "A request key is 8 to 120 visible characters.")


class InProgress(Conflict):
    def __init__(self) -> None:
        super().__init__("in_progress", "The same request is being carried out right now. Ask again in a moment.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept of an answer: enough to give the same bytes again."""

    status: int
    text: str
    location: str = ""
    etag: str = ""
    is_repeat: bool = False


def once(*, by: Actor, verb: str, key: str, body_hash: str, produce: Callable[[], Answer], at: datetime) -> Answer:
    """Return what `produce` answers, calling it once per actor, verb and key within 24 hours.

    One transaction holds the key, the act and the answer. A twin that runs at the same time waits for this one up to
    the lock time-out and is then told `in_progress`. Another body under the same key raises `KeyReused`. A refusal
    raised by `produce` takes the key away with it.
    """
    if not (8 <= len(key) <= 120 and key.isprintable()):
        raise KeyMalformed
    try:
        with transaction.atomic():
            kept = _claim(by.key, verb, key, body_hash, at)
            if kept is not None:
                return kept
            answer = produce()
            _keep(by.key, verb, key, answer)
            return answer
    except _Waited as error:
        raise InProgress from error


def _keep(actor_key: str, verb: str, key: str, answer: Answer) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_requestkey SET status = %s, answer = %s, location = %s, etag = %s"
            " WHERE actor_key = %s AND verb = %s AND key = %s",
            [answer.status, answer.text, answer.location, answer.etag, actor_key, verb, key],
        )


class _Waited(Exception):
    """A twin did not finish in time."""


def _claim(actor_key: str, verb: str, key: str, body_hash: str, at: datetime) -> Answer | None:
    try:
        with connection.cursor() as cursor:  # a failure leaves the caller's transaction, so no savepoint is needed
            cursor.execute(
                "INSERT INTO accounts_requestkey (actor_key, verb, key, body_hash, answer, location, etag, created_at)"
                " VALUES (%s, %s, %s, %s, '', '', '', %s)"
                " ON CONFLICT ON CONSTRAINT requestkey_is_unique_per_actor_and_verb"
                " DO UPDATE SET body_hash = excluded.body_hash, status = NULL, answer = '', location = '', etag = '',"
                " created_at = excluded.created_at WHERE accounts_requestkey.created_at < %s RETURNING id",
                [actor_key, verb, key, body_hash, at, at - settings.REQUEST_KEYS_KEPT],
            )
            if cursor.fetchone() is not None:
                return None
    except OperationalError as error:
        if sqlstate(error) == LOCK_NOT_AVAILABLE:
            raise _Waited from error
        raise
    row = RequestKey.objects.get(actor_key=actor_key, verb=verb, key=key)
    if row.body_hash != body_hash:
        raise KeyReused
    return replace(Answer(row.status or 500, row.answer, row.location, row.etag), is_repeat=True)
