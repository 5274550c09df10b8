"""What was typed when a session ended is there again after signing in. TRUST A7."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from pain_clinic import web
from pain_clinic.accounts.models import KeptInput
from tests import factories
from tests.factories import SmallClinic


def keep(client: Client, path: str, **data: list[str]) -> None:
    user_id = client.session["_auth_user_id"]
    KeptInput.objects.create(user_id=int(user_id), path=path, data=data, kept_at=web.now())


def test_registration_takes_up_what_was_typed_once(clinic: SmallClinic, signed_in: Callable[..., Client]) -> None:
    client = signed_in("desk", clinic.site)
    keep(client, "/patients/new/", last_name=["Quillfeather"], first_name=["Ada"])
    assert b"Quillfeather" in client.get("/patients/new/").content
    assert b"Quillfeather" not in client.get("/patients/new/").content


def test_booking_takes_up_patient_and_procedure_but_presses_nothing(
    clinic: SmallClinic, signed_in: Callable[..., Client]
) -> None:
    client = signed_in("desk", clinic.site)
    keep(
        client,
        "/book/",
        patient=[str(clinic.patient.public_id)],
        procedure=[clinic.procedure.code],
        side=["right"],
        act=["book"],
        choose=["x"],
    )
    page = client.get("/book/").content.decode()
    assert clinic.patient.last_name in page
    assert f'value="{clinic.procedure.code}"' in page
    assert "selected" in page


def test_somebody_elses_input_is_not_shown(clinic: SmallClinic, signed_in: Callable[..., Client]) -> None:
    first = signed_in("desk", clinic.site)
    keep(first, "/patients/new/", last_name=["Quillfeather"])
    second = signed_in("desk", user=factories.user(role="desk", sites=(clinic.site,)))
    assert b"Quillfeather" not in second.get("/patients/new/").content
