"""Lines of the pages: the board against plain Django, patient search against bare SQL."""

from __future__ import annotations

import gzip
import statistics
import uuid
from datetime import datetime, time, timedelta
from functools import partial

from django.db import connection
from django.db.models import Count
from django.test import Client
from django.urls import reverse

from pain_clinic.accounts.actors import Actor
from patients import pages
from patients.models import Patient
from tests.bench import plain
from tests.bench.clinic import ZONE, BenchClinic
from tests.bench.measuring import Line, counted, line, milliseconds, paired


def lines(clinic: BenchClinic, *, rounds: int = 7) -> list[Line]:
    """Measure day and week of the board, a search by name, a patient's page and a case."""
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
        ours, bare = paired(partial(browser.get, address), partial(plain.board, clinic, first, days), rounds=rounds)
        found.append(
            line(f"board, {view} with {bookings:,} bookings", ours, "ms", bare, most=1.2, queries=len(statements), most_queries=8)
        )
        lean = partial(plain.lean_board, clinic, first, days)
        ours, bare = paired(partial(browser.get, address), lean, rounds=rounds)
        found.append(line(f"board, {view}, against a page that says less", ours, "ms", bare, most=1.2))
        size = len(gzip.compress(answer.content)) / 1024
        found.append(line(f"board, {view}, compressed (<= 150)", size, "KB", is_right=size <= 150))
    found.append(_patient_search(clinic))
    return [*found, *_patient_pages(clinic, browser), _case_page(clinic, browser)]


def _patient_pages(clinic: BenchClinic, browser: Client) -> list[Line]:
    """Measure the first page of the busiest patient and of one with few visits; the panels load apart and are counted apart."""
    visits = Count("appointments")
    few = Patient.objects.annotate(visits=visits).filter(visits__lte=5).order_by("-visits", "pk").first()
    found = []
    for key in (clinic.patients[0], few.pk if few else clinic.patients[-1]):
        shown = Patient.objects.annotate(visits=visits).get(pk=key)
        address = reverse("patients:patient", args=[shown.public_id])
        ours, bare = paired(partial(browser.get, address), partial(plain.patient, key), rounds=9)
        with counted() as statements:
            browser.get(address)
        name = f"patient page, {shown.visits} visits"
        found.append(line(name, ours, "ms", bare, most=2, queries=len(statements), most_queries=12))
        panel = f"{address}upcoming/"
        value = statistics.median(milliseconds(partial(browser.get, panel)) for _ in range(9))
        with counted() as statements:
            answer = browser.get(panel)
        is_right = answer.status_code == 200
        found.append(line(f"{name}: its appointments", value, "ms", queries=len(statements), most_queries=12, is_right=is_right))
    return found


def _case_page(clinic: BenchClinic, browser: Client) -> Line:
    case = clinic.site.appointments.filter(starts_at__gte=clinic.at).order_by("starts_at", "pk").first()
    address = reverse("scheduling:appointment", args=[case.public_id])
    value = statistics.median(milliseconds(partial(browser.get, address)) for _ in range(9))
    with counted() as statements:
        answer = browser.get(address)
    return line("case page", value, "ms", queries=len(statements), most_queries=12, is_right=answer.status_code == 200)


def _patient_search(clinic: BenchClinic) -> Line:
    """Measure a search by first and last name; the reference, too, leaves the search's event in the trail."""
    by, someone = Actor.of_user(clinic.desk), Patient.objects.get(pk=clinic.patients[1])
    words = [someone.last_name.lower(), someone.first_name.lower()]

    def ours() -> list[uuid.UUID]:
        return [row.public_id for row in pages.search(text=" ".join(words), user=clinic.desk, by=by, today=clinic.day).rows]

    def bare() -> list[uuid.UUID]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT p.* FROM patients_patient p WHERE search_name LIKE %s AND search_name LIKE %s"
                " AND EXISTS (SELECT 1 FROM patients_patientsite s WHERE s.patient_id = p.id AND s.site_id = %s)"
                " ORDER BY search_name, birth_date, id LIMIT 21",
                [*(f"%{word}%" for word in words), clinic.site.pk],
            )
            place = [each.name for each in cursor.description].index("public_id")
            found = [row[place] for row in cursor.fetchall()]
            cursor.execute(
                "INSERT INTO audit_auditevent (at, actor_kind, user_id, actor_name, act, outcome, subject_kind, reason_code, address,"
                " request_id, details) VALUES (now(), 'user', %s, 'bench-desk', 'patients.search', 'done', '', '', '', '', '{}')",
                [clinic.desk.pk],
            )
            return found

    with counted() as statements:
        shown = ours()
    is_right = someone.public_id in shown and shown == bare()[:20]
    value, reference = paired(ours, bare, rounds=9)
    return line("patient search by name", value, "ms", reference, queries=len(statements), is_right=is_right)
