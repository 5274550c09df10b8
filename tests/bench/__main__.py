"""Build the bench clinic, measure every line, print one table (or JSON with `--json`)."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial

import django


def main() -> int:
    """Measure, and say with the exit status only whether it could: a missed target is a line, not a failure."""
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print a list for programs instead of the table")
    parser.add_argument("--size", choices=("full", "small"), default="full", help="the stated clinic, or a twentieth of it")
    parser.add_argument("--only", action="append", metavar="PART", help="measure this part, such as messages; may be repeated")
    parser.add_argument("--seed", type=int, default=42)
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pain_clinic.settings")
    os.environ.setdefault("CLINIC_MODE", "local")
    django.setup()
    import logging

    from django.db import connections

    from tests.bench import (
        audit,
        booking,
        browser,
        clinic,
        counting,
        courses,
        history,
        joint,
        measuring,
        messages,
        outcomes,
        pages,
        rules,
        searching,
        serving,
    )

    logging.disable(logging.WARNING)
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    tell("building the bench clinic ...")
    made = clinic.build(asked.size, at=datetime.now(UTC).replace(second=0, microsecond=0), seed=asked.seed)
    lines: list[measuring.Line] = []
    is_small = asked.size == "small"  # so that it is done in two minutes on a machine of its own
    parts = {
        "search": searching.lines,
        "pages": pages.lines,
        "statements of the pages": counting.lines,
        "messages": messages.lines,
        "booking": partial(booking.lines, rounds=3, count=30) if is_small else booking.lines,
        "booking over HTTP": partial(serving.lines, count=24) if is_small else serving.lines,
        "browser": browser.lines,
        "rules": rules.lines,
        "outcomes": outcomes.lines,
        "history": history.lines,
        "courses": courses.lines,
        "several sessions together": joint.lines,
        "audit": audit.lines,
    }
    if unknown := set(asked.only or ()) - set(parts):
        parser.error(f"there is no part {min(unknown)!r}; the parts are {', '.join(parts)}")
    broken: list[str] = []
    for name, part in parts.items():
        if asked.only and name not in asked.only:
            continue
        tell(f"measuring {name} ...")
        try:
            measured = part(made)
        except Exception:  # the other parts are still worth knowing; the exit status says that this one is not known
            logging.getLogger(__name__).exception("%s could not be measured", name)
            broken.append(name)
            connections.close_all()
            continue
        lines += measured
        print(measuring.table(measured), file=sys.stderr, flush=True)  # what is known if the rest is cut off
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines.append(measuring.line("peak memory of the bench process", peak, "MB"))
    tell("done")
    if asked.json:
        print(measuring.as_json(lines))
        return 1 if broken else 0
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    print(
        f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit or 'unknown'}, {os.cpu_count()} cores, Python {platform.python_version()}\n"
    )
    print(measuring.table(lines))
    missed = [one.name for one in lines if not one.ok]
    print(f"\n{len(missed)} of {len(lines)} lines missed{': ' + '; '.join(missed) if missed else ''}.")
    if broken:
        print(f"Could not be measured: {', '.join(broken)}.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
