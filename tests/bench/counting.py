"""Lines of the pages' statements: how often the pages that no other line measures ask the database, as `CONTRACTS` counts."""

from __future__ import annotations

from functools import partial

from django.test import Client
from django.urls import reverse

from patients.models import Patient
from tests.bench.clinic import BenchClinic
from tests.bench.measuring import Line, counted, line


def lines(clinic: BenchClinic) -> list[Line]:
    """Open each page twice as the desk does and count the second time; a page that does not answer 200 misses."""
    browser = Client(HTTP_HOST="localhost")
    browser.force_login(clinic.desk)
    someone = Patient.objects.get(pk=clinic.patients[1])
    books = reverse("scheduling:book")
    asking = {"patient": str(someone.public_id), "procedure": str(clinic.five.public_id), "side": "left"}
    looks = [
        ("home", partial(browser.get, "/")),
        ("booking page, a patient chosen", partial(browser.get, f"{books}?patient={someone.public_id}")),
        ("booking page, openings offered", partial(browser.post, books, asking)),
        ("patient search", partial(browser.get, f"{reverse('patients:list')}?q={someone.last_name}")),
    ]
    found = []
    for name, look in looks:
        look()
        with counted() as asked:
            answer = look()
        found.append(line(f"statements: {name}", len(asked), "queries", queries=len(asked), is_right=answer.status_code == 200))
    return found
