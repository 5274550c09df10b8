"""Papers: a source of ours with somebody's data becomes a PDF. The data go in as data, so that no name becomes an instruction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import typst


def pdf(source: Path, data: Mapping[str, Any], *, at: datetime) -> bytes:
    """Return the PDF, tagged for screen readers, that a source makes of these data; `at` is what it says of its making."""
    return typst.compile(source, root=source.parent, format="pdf", sys_inputs=_inputs(data), timestamp=int(at.timestamp()))


def sheets(source: Path, data: Mapping[str, Any]) -> int:
    """Return how many sheets it makes."""
    pictures: object = typst.compile(source, root=source.parent, format="png", ppi=8, sys_inputs=_inputs(data))
    return len(pictures) if isinstance(pictures, list) else 1


def _inputs(data: Mapping[str, Any]) -> dict[str, str]:
    return {"data": json.dumps(data, ensure_ascii=False)}
