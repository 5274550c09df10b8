"""No more e-mail: by the mail program's one click, by the page, and not by a scanner."""

from __future__ import annotations

from django.test import Client

from scheduling.models import Appointment, LinkPurpose
from tests.database.scheduling.views.answers.phones import phone_for


def test_mail_programs_one_click_stops_email_without_cookie_or_mark(visit: Appointment) -> None:
    phone = phone_for(visit, LinkPurpose.UNSUBSCRIBE)
    answer = Client(enforce_csrf_checks=True).post(f"/l/{phone.secret}/", {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    visit.patient.refresh_from_db()
    assert visit.patient.accepts_email is False


def test_unsubscribing_by_the_page_can_be_taken_back(visit: Appointment) -> None:
    phone = phone_for(visit, LinkPurpose.UNSUBSCRIBE)
    phone.get()
    phone.press("unsubscribe")
    assert "You will get no more e-mail" in phone.page
    visit.patient.refresh_from_db()
    assert visit.patient.accepts_email is False
    phone.press("subscribe")
    visit.patient.refresh_from_db()
    assert visit.patient.accepts_email is True


def test_post_of_a_scanner_without_the_agreed_words_stops_nothing(visit: Appointment) -> None:
    phone = phone_for(visit, LinkPurpose.UNSUBSCRIBE)
    assert phone.client.post(f"/l/{phone.secret}/", {}).status_code == 409
    visit.patient.refresh_from_db()
    assert visit.patient.accepts_email is True
