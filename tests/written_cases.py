"""Written cases and what their authors expect: what `expect` asks for, compared with a result."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from procedures.cases import Case, judged, read_cases
from procedures.rules.book import Book

FOLDER = Path(__file__).parent / "data" / "cases"
FILES = sorted(FOLDER.glob("*.yaml"))
ZONE = ZoneInfo("America/New_York")
_SEVERITY = {"denied": "deny", "warn": "warn", "allowed": "info"}


def all_cases(book: Book, file: Path) -> list[Case]:
    """Return the cases of one file."""
    return read_cases(file, book, zone=ZONE)


def complaints(case: Case, book: Book) -> list[str]:
    """Return where a result is not what the author of a case expects."""
    result, expect = judged(case, book), case.expect
    found = []
    if "decision" in expect and result["decision"] != expect["decision"]:
        found.append(f"decision {result['decision']}, not {expect['decision']}")
    if "rule" in expect:
        wanted = {"severity": _SEVERITY[expect.get("decision", "denied")], **expect}
        found += _lacking(result, wanted)
    for wanted in expect.get("also", ()):
        found += _lacking(result, wanted)
    for pattern in expect.get("absent", ()):
        there = [one["rule"] for one in result["findings"] if one["severity"] != "info" and fnmatch.fnmatch(one["rule"], pattern)]
        found += [f"{rule} should be absent" for rule in there]
    if found:
        found += [" ".join(str(one[name]) for name in ("severity", *_COMPARED, "message")) for one in result["findings"]]
    return found


_COMPARED = ("rule", "earliest", "counted", "limit")


def _lacking(result: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    if any(_fits(one, wanted) for one in result["findings"]):
        return []
    return [f"no finding { ({name: wanted[name] for name in ('severity', *_COMPARED) if name in wanted}) }"]


def _fits(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    rules = wanted["rule"] if isinstance(wanted["rule"], list) else [wanted["rule"]]
    if found["rule"] not in rules or found["severity"] != wanted.get("severity", found["severity"]):
        return False
    return all(found[name] == _plain(wanted[name]) for name in ("earliest", "counted", "limit") if name in wanted)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value
