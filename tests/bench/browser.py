"""Lines of a real browser: painting a big board against static HTML, and first paint of the main pages of the demo clinic."""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from django.conf import settings
from django.template.loader import render_to_string
from django.test import RequestFactory
from playwright.sync_api import Browser, Page, sync_playwright

from pain_clinic.accounts.actors import Actor
from scheduling import agenda
from scheduling.agenda import markup
from scheduling.agenda.shapes import Bar, Board
from tests.bench.clinic import BenchClinic
from tests.bench.measuring import Line, line

COLUMNS, BARS, ROUNDS, VISITS = 50, 643, 9, 5
PASSWORD = "pain-clinic-demo"  # nosec B105 - the demo's, printed at every start
STATIC_STYLE = """
body{margin:0;font:12px/14px system-ui,sans-serif}main{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(148px,1fr)}
section{position:relative;border-left:1px solid #ddd}h2{font-size:14px;margin:0;height:56px}
.lane{position:relative;height:1056px;background:linear-gradient(#ddd 1px,transparent 1px) 0 0/100% 96px}
a{position:absolute;left:7px;right:7px;overflow:hidden;border-radius:4px;padding:1px 6px 1px 8px;background:#e4ebfb;color:#111;
text-decoration:none;box-shadow:inset 4px 0 0 #2457b8}a span{display:block;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
i{position:absolute;width:4px;left:1px;background:#9ab}small{position:absolute;clip-path:inset(50%)}
"""
AFTER_TWO_FRAMES = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() =>
  done(performance.now() - performance.getEntriesByType('navigation')[0].responseStart))))"""
FIRST_PAINT = """() => new Promise(done => {
  const seen = () => performance.getEntriesByName('first-contentful-paint')[0];
  const look = () => seen() ? done(seen().startTime) : requestAnimationFrame(look);
  look();
})"""


def chromium() -> str:
    """Return where a Chromium is, empty where there is none."""
    named = [os.environ.get("CHROMIUM", ""), *map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))]
    return next((path for path in named if path and Path(path).exists()), "")


def lines(clinic: BenchClinic) -> list[Line]:
    """Measure what a browser shows; where there is none, say so."""
    path = chromium()
    if not path:
        return [line("browser: NOT MEASURED, no Chromium found (CHROMIUM=FILE names one)", 0, "ms", is_right=False)]
    board = big_board(clinic)
    ours, bare = _our_page(clinic, board), static_page(board)
    with _demo_clinic() as address:
        # No query of ours runs in here: Playwright's loop would be taken for an asynchronous context.
        flags = ["--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=flags)
            try:
                return [_painting(browser, ours, bare), *_first_paints(browser, address)]
            finally:
                browser.close()


# --- a board of 643 bars in 50 columns -------------------------------------------------------------------------------


def big_board(clinic: BenchClinic) -> Board:
    """Return the bench clinic's full day dealt out again: its bars over and over, in 50 columns."""
    asked = agenda.Asked(site=clinic.site, sites=(clinic.site,), day=clinic.day)
    shown = agenda.board(asked=asked, by=Actor.of_user(clinic.desk), at=clinic.at)
    found = [bar for column in shown.columns for bar in column.bars]
    dealt: list[list[Bar]] = [[] for _ in range(COLUMNS)]
    for place in range(BARS):
        dealt[place % COLUMNS].append(found[place % len(found)])
    columns = []
    for place, bars in enumerate(dealt):
        like = shown.columns[place % len(shown.columns)]
        drawn = markup.bands(like.bands) + markup.bars(bars, "physician")
        columns.append(replace(like, name=f"{like.name} ({place + 1})", bars=tuple(bars), drawn=drawn))
    return agenda.finished(replace(shown, columns=tuple(columns)), None, "bench")


def _our_page(clinic: BenchClinic, board: Board) -> str:
    request = RequestFactory().get("/board/", HTTP_HOST="127.0.0.1")
    request.user = clinic.desk
    return render_to_string("scheduling/board.html", {"board": board}, request=request)


def static_page(board: Board) -> str:
    """Return the same bars, legs and words as static HTML on a CSS grid: no frame, no script, no stylesheet to fetch."""
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>Board</title><style>{STATIC_STYLE}"]
    parts += [f".t{n}{{top:{n * 8}px}}.h{n}{{height:{n * 8}px}}" for n in range(board.slot_count + 1)]
    parts.append("</style><main>")
    for column in board.columns:
        parts.append(f'<section><h2>{escape(column.name)}</h2><div class="lane">')
        for bar in column.bars:
            for leg in bar.legs:
                if leg.kind != "procedure":
                    parts.append(f'<i class="t{leg.slot} h{leg.span}"></i>')
                    continue
                said = [f"<b>{bar.clock} {escape(bar.patient)}</b>", f"{escape(bar.procedure)} <b>{escape(bar.target)}</b>"]
                said.append(f"{escape(bar.room)} {escape(bar.device)}")
                words = "".join(f"<span>{text}</span>" for text in said)
                parts.append(
                    f'<a class="t{leg.slot} h{leg.span}" href="{escape(bar.url)}">{words}<small>{bar.status}</small></a>'
                )
        parts.append("</div></section>")
    return "".join([*parts, "</main>"])


def _painting(browser: Browser, ours: str, bare: str) -> Line:
    """Measure from the first byte to the second frame after everything has loaded and run, in turns."""
    with _serving({"/board/": ours, "/static.html": bare}) as address:
        context = browser.new_context(viewport={"width": 1440, "height": 900})

        def painted(path: str) -> float:
            page = context.new_page()
            page.goto(f"{address}{path}", wait_until="load")
            spent = float(page.evaluate(AFTER_TWO_FRAMES))
            page.close()
            return spent

        painted("/board/"), painted("/static.html")
        pairs = [(painted("/board/"), painted("/static.html")) for _ in range(ROUNDS)]
        context.close()
    value, reference = (statistics.median(column) for column in zip(*pairs, strict=True))
    return line(f"board, browser paint, {BARS} bars in {COLUMNS} columns", value, "ms", reference, most=1.3)


@contextmanager
def _serving(pages: dict[str, str]) -> Iterator[str]:
    """Serve pages from memory and the bundles from their folder, on loopback, until left."""
    kept = {path: (text.encode(), "text/html; charset=utf-8") for path, text in pages.items()}
    kinds = {".css": "text/css", ".js": "text/javascript"}
    for folder in (*settings.STATICFILES_DIRS, Path(sys.modules["django_htmx"].__path__[0]) / "static"):
        for file in Path(folder).rglob("*"):
            if file.suffix in kinds:
                kept[f"{settings.STATIC_URL}{file.relative_to(folder)}"] = (file.read_bytes(), kinds[file.suffix])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body, kind = kept.get(urlsplit(self.path).path, (b"", ""))
            self.send_response(304 if self.headers.get("X-Clinic-Poll") else 200 if kind else 404)
            body = b"" if self.headers.get("X-Clinic-Poll") else body
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


# --- first contentful paint on the demo clinic -----------------------------------------------------------------------


def _first_paints(browser: Browser, address: str) -> list[Line]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=address)
    page = context.new_page()
    page.goto("/sign-in/")
    page.get_by_label("User name").fill("desk")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    paths = {"home": "/", "board": "/board/", "booking page": "/book/", **_a_case(page)}
    page.close()
    found = []
    for name, path in paths.items():
        seen = [_first_paint(context.new_page, path) for _ in range(VISITS + 1)][1:]
        value = statistics.median(seen)
        found.append(line(f"first contentful paint, {name} (< 200)", value, "ms", is_right=value < 200))
    context.close()
    return found


def _a_case(page: Page) -> dict[str, str]:
    """Return the addresses of a case on the board, as the desk would find it, and of its patient."""
    for _ in range(10):  # a clinic may be closed for some days
        page.goto(page.locator('a[rel="next"]').get_attribute("href") or "/board/" if "/board/" in page.url else "/board/")
        bar = page.locator("a.bar").first
        if bar.count():
            case = bar.get_attribute("data-panel") or ""
            page.goto(case)
            patient = page.locator('#main a[href^="/patients/"]').first.get_attribute("href") or ""
            return {"patient page": patient, "case": case}
    return {}


def _first_paint(new_page: Callable[[], Page], path: str) -> float:
    page = new_page()
    page.goto(path, wait_until="load")
    spent = float(page.evaluate(FIRST_PAINT))
    page.close()
    return spent


@contextmanager
def _demo_clinic() -> Iterator[str]:
    """Serve a demo clinic of its own, from a second database beside the bench's, as `dev.py run` does."""
    names = {name: _renamed(os.environ[name]) for name in ("DATABASE_URL", "DATABASE_OWNER_URL")}
    _make_database(os.environ["DATABASE_OWNER_URL"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    env = {**os.environ, **names, "BASE_URL": address, "PORT": str(port)}
    manage = partial(subprocess.run, env=env, cwd=settings.BASE_DIR, check=True, timeout=600, stdout=subprocess.DEVNULL)
    manage([sys.executable, "manage.py", "prepare"], stderr=subprocess.DEVNULL)
    manage([sys.executable, "manage.py", "demo", "--patients", "400"], stderr=subprocess.DEVNULL)
    command = [sys.executable, "-m", "gunicorn", "pain_clinic.wsgi:application", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    command += ["--worker-class", "sync", "--preload", "--no-control-socket", "--log-level", "error"]
    server = subprocess.Popen(command, env=env, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def _renamed(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path="/clinic_demo"))


def _make_database(owner: str) -> None:
    place, role = settings.DATABASES["default"], urlsplit(owner)
    kept = psycopg2.connect(
        host=place["HOST"], port=place["PORT"] or None, user=role.username, password=role.password, dbname="postgres"
    )
    try:
        kept.autocommit = True
        with kept.cursor() as cursor:
            cursor.execute("CREATE DATABASE clinic_demo")
    finally:
        kept.close()


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The demo clinic did not start.")
