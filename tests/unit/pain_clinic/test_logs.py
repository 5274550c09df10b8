"""Logs hold no secret, no query string, no patient: TRUST L9, P1, I8."""

from __future__ import annotations

import io
import json
import logging

import pytest

from pain_clinic.logs import configuration, masked


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("GET /l/aBcD-1234_xyz/ 200", "GET /l/***/ 200"),
        ("http://h/l/secret?confirm=1", "http://h/l/***?***"),
        ("/patients/?q=Hansen", "/patients/?***"),
        ("Authorization: Token clinic_abcdefghijkl", "Authorization: Token ***"),
        ("mail to ana.b+c@example.org failed", "mail to ***@*** failed"),
        ("nothing to hide?", "nothing to hide?"),
    ],
)
def test_masks_what_must_not_be_written(said: str, written: str) -> None:
    assert masked(said) == written


def lines(log: logging.Logger, write: object) -> list[dict[str, object]]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    config = configuration(level="INFO")["formatters"]["json"]
    made = config.pop("()")
    handler.setFormatter(made(**config))
    log.addHandler(handler)
    try:
        write()
    finally:
        log.removeHandler(handler)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_line_is_one_json_object_even_with_newlines() -> None:
    log = logging.getLogger("test.one_line")
    log.setLevel("INFO")
    log.propagate = False
    (line,) = lines(log, lambda: log.info("first\nsecond %s", "\r\nthird"))
    assert line["event"] == "first\nsecond \r\nthird"


def test_trace_names_places_and_no_values() -> None:
    log = logging.getLogger("test.trace")
    log.propagate = False

    def fail() -> None:
        patient_name = "Canary Mørk"
        try:
            raise ValueError(f"cannot read {patient_name}")
        except ValueError:
            log.exception("failed")

    (line,) = lines(log, fail)
    assert line["error"] == "builtins.ValueError"
    assert "Canary" not in json.dumps(line, ensure_ascii=False)
    assert any("test_logs.py" in place for place in line["trace"])


def test_django_says_no_path() -> None:
    log = logging.getLogger("django.request.test")
    log.propagate = False
    extra = {"status_code": 404, "request": object()}
    (line,) = lines(log, lambda: log.warning("Not Found: %s", "/patients/Hansen/", extra=extra))
    assert line["event"] == "response 404"
    assert "Hansen" not in json.dumps(line)
