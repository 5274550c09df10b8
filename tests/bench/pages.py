"""Lines of the pages: the board against plain Django, patient search against bare SQL."""

from __future__ import annotations

import gzip
from collections import defaultdict
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from django.db import connection
from django.template import engines
from django.test import Client
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from patients import pages
from scheduling.models import Allocation, Resource
from tests.bench.clinic import ZONE, BenchClinic
from tests.bench.measuring import Line, counted, line, paired

PLAIN = """<!doctype html><html><head><title>Board</title></head><body><main>{% for unit, bars in columns %}<section><h2>{{ unit.name }}</h2><ol>
{% for bar in bars %}<li class="bar s{{ bar.slot }} n{{ bar.span }} {{ bar.status }}"><a href="/appointments/{{ bar.public_id }}/">
<b>{{ bar.starts|time:"H:i" }}-{{ bar.ends|time:"H:i" }}</b> {{ bar.first }} {{ bar.last|slice:":1" }}. {{ bar.born|date:"Y" }}
<span>{{ bar.procedure }}</span> <span>{{ bar.side }}</span></a></li>{% endfor %}</ol></section>{% endfor %}</main></body></html>"""


def plain_board(clinic: BenchClinic, first: date, days: int) -> str:
    """Return the bars of the physicians as plain Django reads and writes them."""
    begins = datetime.combine(first, time(), ZONE)
    units = list(Resource.objects.filter(site=clinic.site, kind="physician").order_by("position"))
    bars: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = (
        Allocation.objects.filter(
            resource__in=units, released_at=None, starts_at__lt=begins + timedelta(days=days), ends_at__gt=begins
        )
        .select_related("appointment__patient", "appointment__procedure")
        .order_by("starts_at")
    )
    for row in rows:
        case = row.appointment
        starts, ends = row.starts_at.astimezone(ZONE), row.ends_at.astimezone(ZONE)
        bars[row.resource_id].append({
            "slot": starts.hour * 12 + starts.minute // 5, "span": (ends - starts).seconds // 300, "status": case.status,
            "public_id": case.public_id, "starts": starts, "ends": ends, "first": case.patient.first_name,
            "last": case.patient.last_name, "born": case.patient.birth_date, "procedure": case.procedure.short_name, "side": case.side,
        })  # fmt: skip
    template = engines["django"].from_string(PLAIN)
    return template.render({"columns": [(unit, bars[unit.pk]) for unit in units]})


def lines(clinic: BenchClinic, *, rounds: int = 7) -> list[Line]:
    """Measure day and week of the board, and a search by name."""
    browser = Client(HTTP_HOST="localhost")
    browser.force_login(clinic.desk)
    found = []
    monday = clinic.day - timedelta(days=clinic.day.weekday())
    for view, first, days in (("day", clinic.day, 1), ("week", monday, 7)):
        address = f"{reverse('scheduling:board')}?site={clinic.site.slug}&day={clinic.day}&view={view}&by=physician"
        answer = browser.get(address)
        with counted() as statements:
            answer = browser.get(address)
        if answer.status_code != 200:
            found.append(line(f"board, {view}: answered {answer.status_code}", 0, "ms", is_right=False))
            continue
        begins = datetime.combine(first, time(), ZONE)
        bookings = clinic.site.appointments.filter(starts_at__gte=begins, starts_at__lt=begins + timedelta(days=days)).count()
        ours, bare = paired(partial(browser.get, address), partial(plain_board, clinic, first, days), rounds=rounds)
        found.append(
            line(f"board, {view} with {bookings:,} bookings", ours, "ms", bare, most=1.2, queries=len(statements), most_queries=8)
        )
        size = len(gzip.compress(answer.content)) / 1024
        found.append(line(f"board, {view}, compressed (<= 150)", size, "KB", is_right=size <= 150))
    found.append(_patient_search(clinic))
    return found


def _patient_search(clinic: BenchClinic) -> Line:
    by, words = Actor.of_user(clinic.desk), "marwood vera"

    def ours() -> Any:
        return pages.search(text=words, user=clinic.desk, by=by, today=clinic.day)

    def bare() -> Any:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT p.* FROM patients_patient p WHERE search_name LIKE %s AND search_name LIKE %s"
                " AND EXISTS (SELECT 1 FROM patients_patientsite s WHERE s.patient_id = p.id AND s.site_id = %s)"
                " ORDER BY search_name, birth_date, id LIMIT 51",
                ["%marwood%", "%vera%", clinic.site.pk],
            )
            return cursor.fetchall()

    with counted() as statements:
        shown = ours()
    value, reference = paired(ours, bare, rounds=9)
    return line("patient search by name", value, "ms", reference, queries=len(statements), is_right=shown is not None)
