"""The hours without food and drink before sedation, as the clinical table has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache

from procedures.models import Sedation
from procedures.tables import read

# The table: only when moderate or deep sedation, monitored care or general anaesthesia is planned.
SEDATED = frozenset({Sedation.MODERATE, Sedation.DEEP, Sedation.MAC, Sedation.GENERAL})


def applies(sedation: str) -> bool:
    """Say whether somebody who gets this sedation has to fast."""
    return sedation in SEDATED


@lru_cache(maxsize=1)
def minimum() -> Mapping[str, timedelta]:
    """Return, by intake, how long before the start of the procedure it must have ended: real elapsed hours."""
    rows = read()["fasting"].content["minimum_hours"]
    return {str(row["intake"]): timedelta(hours=float(row["hours"])) for row in rows}
