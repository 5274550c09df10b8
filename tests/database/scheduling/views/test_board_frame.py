"""What stands around the board: the site that the top bar names, accounts without a site, polls and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from pain_clinic.accounts.models import User
from pain_clinic.audit.models import AuditEvent
from scheduling.models import Appointment
from tests import factories
from tests.bench.measuring import counted
from tests.database.scheduling.views.conftest import People
from tests.factories import SmallClinic

POLL = {"X-Clinic-Poll": "1", "HX-Request": "true", "HX-Target": "board"}


def readings(case: Appointment) -> int:
    return AuditEvent.objects.filter(act="scheduling.appointment_read", subject_id=case.public_id).count()


def test_top_bar_names_the_site_that_the_page_is_about(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    first = factories.site(name="Aardvark Clinic")
    both = signed_in("desk", first, clinic.site)

    def named(address: str) -> str:
        return str(both.get(address).context["frame"].site_name)

    assert named(f"/board/?site={clinic.site.slug}") == clinic.site.name
    assert named(f"/board/?site={first.slug}") == first.name
    assert named(f"/board/?site={first.slug}&case={case.public_id}") == first.name
    assert named(f"/appointments/{case.public_id}/") == clinic.site.name
    assert named("/") == first.name
    assert named("/patients/") == "2 sites"


def test_board_and_home_begin_at_the_site_chosen_last(clinic: SmallClinic, signed_in: Callable[..., Client]) -> None:
    first = factories.site(name="Aardvark Clinic")
    both = signed_in("desk", first, clinic.site)

    begins = both.get("/board/").context["board"].site
    both.get(f"/board/?site={clinic.site.slug}")
    later = [both.get("/board/").context["board"].site, both.get("/").context["frame"].site_name]
    User.objects.get(last_site=clinic.site).sites.remove(clinic.site)
    without = both.get("/board/").context["board"].site

    assert (begins, later, without) == (first.slug, [clinic.site.slug, clinic.site.name], first.slug)


@pytest.mark.parametrize("role", ["admin", "auditor"])
def test_who_keeps_accounts_or_reads_the_trail_is_shown_no_cases(
    case: Appointment, clinic: SmallClinic, signed_in: Callable[..., Client], role: str
) -> None:
    keeper = signed_in(role, clinic.site)

    home = keeper.get("/")
    text = home.content.decode()
    assert home.context["home"].next_cases == ()
    assert "Next today" not in text
    assert clinic.patient.first_name not in text
    assert keeper.get(f"/board/?day={case.local_date}").status_code == 403


def test_an_account_of_createsuperuser_is_told_how_to_get_a_site(clinic: SmallClinic, client: Client) -> None:
    User.objects.create_superuser(username="first", password=factories.PASSWORD, date_joined=factories.NOW)
    client.force_login(User.objects.get(username="first"))

    home, board = client.get("/").content.decode(), client.get("/board/").content.decode()

    assert "How to get a site" in home
    assert "add an ordinary account for yourself under Staff" in board
    assert ('href="/settings/sites/new/"' in board, 'href="/staff/"' in board) == (True, True)
    assert client.get("/board/").context["frame"].site_name == "no site yet"


def test_a_colleague_without_a_site_is_told_whom_to_ask(signed_in: Callable[..., Client]) -> None:
    shown = signed_in("desk").get("/board/").content.decode()

    assert "Ask an administrator" in shown
    assert "/settings/sites/new/" not in shown


def test_a_poll_of_a_case_that_was_opened_is_no_second_reading(case: Appointment, people: People) -> None:
    address = f"/board/?day={case.local_date}&case={case.public_id}"
    opened = people.owner.get(address)
    again = people.owner.get(address, headers={**POLL, "If-None-Match": opened["ETag"]})
    case.version += 1
    case.note = "News."
    case.save(update_fields=["version", "note"])
    news = people.owner.get(address, headers={**POLL, "If-None-Match": opened["ETag"]})

    assert (again.status_code, news.status_code) == (304, 200)
    assert readings(case) == 1


def test_a_panel_that_was_opened_covers_the_polls_after_it(case: Appointment, people: People) -> None:
    panel = people.owner.get(f"/appointments/{case.public_id}/", headers={"HX-Request": "true", "HX-Target": "case-panel"})
    mark = f'"opened-{panel["X-Clinic-Opened"]}"'
    people.owner.get(f"/board/?day={case.local_date}&case={case.public_id}", headers={**POLL, "If-None-Match": mark})

    assert readings(case) == 1


@pytest.mark.parametrize("mark", ["", '"x"', '"opened-"'])
def test_nobody_reads_a_case_in_secret_by_calling_it_a_poll(case: Appointment, people: People, mark: str) -> None:
    people.colleague.get(f"/board/?day={case.local_date}&case={case.public_id}", headers={**POLL, "If-None-Match": mark})
    people.colleague.get(f"/appointments/{case.public_id}/", headers=POLL)

    assert readings(case) == 2


def test_a_seal_is_good_for_its_session_and_case_alone(
    case: Appointment, people: People, book: Callable[..., Appointment], clinic: SmallClinic
) -> None:
    other = book("11:00", patient=factories.patient(home=clinic.site))
    stolen = people.owner.get(f"/board/?case={other.public_id}")["ETag"]
    people.owner.get(f"/board/?case={case.public_id}", headers={**POLL, "If-None-Match": stolen})
    people.colleague.get(f"/board/?case={other.public_id}", headers={**POLL, "If-None-Match": stolen})

    assert (readings(case), readings(other)) == (1, 2)


def past(clinic: SmallClinic, count: int, since: int = 1) -> None:
    """Write down one visit a day before today, the first of them `since` days ago."""
    for number in range(count):
        factories.appointment(
            of=clinic.patient, at_site=clinic.site, for_procedure=clinic.procedure, status="discharged",
            starts_at=factories.local(factories.TODAY, "10:00") - timedelta(days=number + since), resources=[clinic.physician],
        )  # fmt: skip


def test_patient_page_asks_as_many_statements_for_sixty_visits_as_for_five(people: People, clinic: SmallClinic) -> None:
    address = f"/patients/{clinic.patient.public_id}/"

    def asked() -> list[int]:
        found = []
        for part in ("", "upcoming/", "messages/"):
            with counted() as statements:
                assert people.owner.get(address + part).status_code == 200
            found.append(len(statements))
        return found

    past(clinic, 5)
    asked()
    few = asked()
    past(clinic, 55, since=6)

    assert asked() == few
    assert max(few) <= 12


def test_past_cases_come_in_pages_newest_first(people: People, clinic: SmallClinic) -> None:
    past(clinic, 30)
    address = f"/patients/{clinic.patient.public_id}/upcoming/"

    first, second = (people.owner.get(address, {"page": page}).context["panel"] for page in ("1", "2"))

    assert (len(first.past), len(second.past), first.page.total, first.page.of) == (25, 5, 30, 2)
    days = [line.starts_at for line in (*first.past, *second.past)]
    assert days == sorted(days, reverse=True)
    assert (first.page.next_url, second.page.next_url) == (f"{address}?page=2", "")


def test_case_asks_at_most_twelve_statements(case: Appointment, people: People) -> None:
    def asked(headers: dict[str, Any]) -> int:
        with counted() as statements:
            assert people.owner.get(f"/appointments/{case.public_id}/", headers=headers).status_code == 200
        return len(statements)

    page, panel = asked({}), asked({"HX-Request": "true", "HX-Target": "case-panel"})

    assert (page <= 12, panel <= 12) == (True, True), (page, panel)
