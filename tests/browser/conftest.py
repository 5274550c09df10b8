"""A real browser against a live server, with a small clinic whose hours begin now."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from pain_clinic.accounts.roles import sync_roles
from tests import factories
from tests.factories import PASSWORD, SmallClinic

# Playwright runs an event loop in the test's thread; Django would take any query there for a mistake.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE = 30_000  # milliseconds in which something comes to be seen; the machine may stand still for a few seconds
expect.set_options(timeout=PATIENCE)
SHOTS = os.environ.get("BROWSER_SHOTS", "")  # a folder: keep a picture of every page looked at
FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, live_server: Any) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page; requests to anywhere else and script errors fail the test."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def go(*, width: int = 1440, scheme: str = "light", scripts: bool = True) -> Page:
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=scripts, reduced_motion="reduce",
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda asked: _check(asked.url, live_server.url, faults))
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on(
            "console",
            lambda told: faults.append(f"console: {told.text}") if "Content Security Policy" in told.text else None,
        )
        return page

    yield go
    for context in contexts:
        context.close()
    _wait_for_the_server()
    assert faults == []


def _wait_for_the_server(seconds: float = 60) -> None:
    """Wait until the live server has ended every request of the pages that were closed: the tables are emptied next."""
    end = time.monotonic() + seconds
    while any("process_request_thread" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < end, f"the live server still answers after {seconds:.0f} s"
        time.sleep(0.02)


def _check(url: str, own: str, faults: list[str]) -> None:
    if not url.startswith((own, "data:", "blob:", "about:")):
        faults.append(f"foreign request: {url}")


@pytest.fixture
def clinic_now(transactional_db: None) -> SmallClinic:
    """Return a small clinic whose free time begins at the machine's present."""
    sync_roles()
    clinic = factories.small_clinic(at=datetime.now(tz=UTC))
    clinic.procedure.short_name, clinic.procedure.name = "Lumbar block", "Lumbar block for the tests"
    clinic.procedure.save(update_fields=["short_name", "name"])
    for role in ("desk", "physician", "manager", "auditor"):
        factories.user(role=role, username=role, sites=(clinic.site,), display_name=f"Test {role}")
    return clinic


def wall_now(clinic: SmallClinic) -> datetime:
    """Return this moment on the clinic's wall: its date is what the pages call today, which UTC's is not in the evening."""
    return datetime.now(tz=ZoneInfo(clinic.site.time_zone))


def sign_in(page: Page, username: str) -> None:
    page.goto("/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def violations(page: Page) -> list[str]:
    """Return what axe finds on the page, at every level of WCAG 2.2 it knows."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:160]} :: {node['failureSummary'][:200]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def looked_at(page: Page, path: str, name: str, width: int) -> None:
    """Open a page and check what every page owes a reader; keep a picture where one is wanted."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    stands(page, name, width)


def stands(page: Page, name: str, width: int) -> None:
    """Check the page that is open: accessible, and no wider than the screen."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}-{width}.png"), full_page=True)
    assert violations(page) == [], page.url
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} scrolls sideways by {wide} px at {width}"
