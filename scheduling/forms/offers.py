"""The opening of a row as a signed text: what a dry run showed is carried to its booking, by a form or by a program."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.core import signing

from scheduling.models import PlannedSession

SALT, LIFE = "scheduling.bulk", 30 * 60  # seconds


def token_of(row: PlannedSession, packed: Mapping[str, Any]) -> str:
    """Return the opening of a row as a signed text that holds for half an hour."""
    parts = {"row": str(row.public_id), "at": _small(packed)}
    if packed.get("removal"):
        parts["removal"] = _small(packed["removal"])
    return signing.dumps(parts, salt=SALT, compress=True)


def from_token(token: str, public_id: uuid.UUID) -> Mapping[str, Any] | None:
    """Return the opening of a row, None where the offer has lapsed, is another row's or is not ours."""
    try:
        parts = signing.loads(token, salt=SALT, max_age=LIFE)
    except signing.BadSignature:
        return None
    if parts["row"] != str(public_id):
        return None
    return {**parts["at"], **({"removal": parts["removal"]} if "removal" in parts else {})}


def _small(packed: Mapping[str, Any]) -> dict[str, Any]:
    return {"starts_at": packed["starts_at"], "units": packed["units"]}
