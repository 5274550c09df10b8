"""Fields that were not asked for change nothing, and every text of forms to come is cleaned. TRUST Z4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.db import connection
from django.test import Client
from rest_framework import serializers

from pain_clinic import rest
from pain_clinic.accounts.models import User
from pain_clinic.texts import PlainField
from patients.models import Patient
from scheduling.models import Appointment
from tests.database.trust.schema import resolved
from tests.database.trust.typing_in import Drawn, api, leaves, writes
from tests.database.trust.world import World

EXTRAS: dict[str, Any] = {
    "id": 1, "pk": 1, "public_id": "00000000-0000-0000-0000-000000000001", "record_number": "MINE", "is_demo": True,
    "version": 77, "created_at": "2001-01-01T00:00:00Z", "is_superuser": True, "is_staff": True, "role": "admin",
    "roles": ["admin"], "groups": [1], "status": "discharged", "is_late": True, "source": "import", "created_by": 1,
    "cancelled_at": "2001-01-01T00:00:00Z", "calendar_sequence": 99, "held_by": 1, "ends_at": "2099-01-01T00:00:00Z",
    "released_at": "2001-01-01T00:00:00Z", "price": 0, "arrives_at": "2001-01-01T00:00:00Z", "search_name": "x",
    "note_internal": "x", "procedure_id": 1, "patient_id": 1, "site_id": 1, "home_site_id": 1,
}  # fmt: skip
CHANCE = {"id", "record_number", "word_id"}  # drawn anew for each row
# What cannot be done to the rows of the world, whatever is sent: see `test_bodies_named_valid_are_taken`.
NOT_DONE = {
    "appointments_reinstate", "appointments_waive", "notes_add", "notes_cosign", "courses_book", "series_book",
    "privileges_remove", "appointments_complete", "medicines_confirm", "medicines_keep",
}  # fmt: skip


def settled(value: Any) -> Any:
    """Return an answer without what is drawn anew for each row."""
    if isinstance(value, list):
        return [settled(one) for one in value]
    return {name: settled(one) for name, one in value.items() if name not in CHANCE} if isinstance(value, dict) else value


def test_fields_that_were_not_asked_for_change_nothing(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    compared = 0
    for one, body in writes(world):
        if one.id in NOT_DONE | {"openings_search", "patients_search"}:
            continue
        shapes = [
            one.body,
            *(resolved(one.body).get("oneOf", []) if one.body else []),
        ]  # a body may have the shape of several kinds
        its_own = {path[0] for shape in shapes for path, _ in leaves(shape)}
        extras = {name: value for name, value in EXTRAS.items() if name not in its_own}  # a field that it has is asked for
        plain, laden = (api(client, user, world, one, given) for given in (body, {**extras, **body}))
        assert (plain.status_code, laden.status_code) in {(200, 200), (201, 201)}, one.id
        known = [settled(each.json()) for each in (plain, laden)]
        assert known[0] == known[1], one.id
        compared += 1
    assert compared >= 8


MARKED: dict[str, Any] = {
    **EXTRAS, "public_id": "0bad0bad-0bad-4bad-8bad-0bad0bad0bad", "record_number": "ZQMARK", "search_name": "zqmark",
    "note_internal": "zqmark", "created_at": "2001-02-03T04:05:06Z", "cancelled_at": "2001-02-03T04:05:06Z",
    "released_at": "2001-02-03T04:05:06Z", "arrives_at": "2001-02-03T04:05:06Z", "recorded_at": "2001-02-03T04:05:06Z",
    "created_by_name": "zqmark", "actor_name": "zqmark",
}  # fmt: skip


def holding_marks() -> set[str]:
    """Return the tables of which a row holds one of the marks."""
    tables = sorted(connection.introspection.table_names())
    each = (f"SELECT '{name}' FROM {name} t WHERE t::text ~* 'zqmark|2001-02-03|0bad0bad'" for name in tables)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(each))
        return {name for (name,) in cursor.fetchall()}


def powers(user: User) -> tuple[set[tuple[Any, ...]], int]:
    """Return what somebody is, and how many are more than others."""
    own = set(User.objects.filter(pk=user.pk).values_list("is_superuser", "is_staff", "is_active", "groups"))
    return own, User.objects.filter(is_superuser=True).count() + User.objects.filter(is_staff=True).count()


def test_no_row_of_any_table_takes_what_was_not_asked_for(world: World, manager: tuple[User, Client]) -> None:
    user, client = manager
    moved: list[tuple[str, set[str]]] = []
    before = powers(user)
    looked = 0

    for one, body in writes(world):
        if one.id in NOT_DONE | {"openings_search", "patients_search"}:
            continue

        def look(name: str = one.id) -> None:
            if found := holding_marks() | ({"who is what"} if powers(user) != before else set()):
                moved.append((name, found))

        shapes = [one.body, *(resolved(one.body).get("oneOf", []) if one.body else [])]
        its_own = {path[0] for shape in shapes for path, _ in leaves(shape)}
        laden = {**{name: value for name, value in MARKED.items() if name not in its_own}, **body}
        assert api(client, user, world, one, laden, look=look).status_code in {200, 201}, one.id
        looked += 1

    assert moved == []
    assert looked >= 8
    Patient.objects.filter(pk=world.patient.pk).update(external_id="zqmark")  # the control: what is there is seen
    assert holding_marks() >= {"patients_patient"}


def test_forms_take_no_more_than_they_draw(world: World, manager: tuple[User, Client]) -> None:
    _, client = manager
    extras = {name: str(value) for name, value in EXTRAS.items() if name not in {"version", "roles", "groups"}}
    before = Patient.objects.filter(pk=world.patient.pk).values().get()
    page = Drawn()
    page.feed(client.get(f"/patients/{world.patient.public_id}/edit/").content.decode())
    form = next(each for each in page.forms if "payer" in each["fields"])
    typed = {**form["fields"], "language": "en", "sex": "unknown", "home_site": str(world.site.pk), "accepts_email": "on"}
    answer = client.post(f"/patients/{world.patient.public_id}/edit/", {**extras, **typed, "payer": "Other"})
    assert answer.status_code == 303
    after = Patient.objects.filter(pk=world.patient.pk).values().get()
    assert {name for name in after if after[name] != before[name]} == {"payer", "version"}
    case = Appointment.objects.filter(pk=world.case.pk).values().get()
    client.post(f"/appointments/{world.case.public_id}/confirm/", {**extras, "version": "1", "request_key": "k" * 20})
    now = Appointment.objects.filter(pk=world.case.pk).values().get()
    assert {name for name in now if now[name] != case[name]} == {"status", "version"}


LOOKED_UP = "looked up or parsed, never kept"
NOT_CLEANED = {
    ("BookForm", "procedure"): LOOKED_UP,
    ("BookForm", "opening"): "signed by us",
    ("ActForm", "to"): LOOKED_UP,
    ("FilterForm", "q"): LOOKED_UP,
    ("AuditForm", "act"): LOOKED_UP,
    ("NeedForm", "attribute"): "letters, digits and underscores only",
    ("RuleCopyForm", "row_id"): "letters, digits and underscores only",
    ("StaffForm", "username"): "letters, digits, dots and dashes only",
    ("SiteForm", "time_zone"): "a name that the zone data know",
    ("PasswordForm", "old_password"): "every character counts",
    ("PasswordForm", "new_password"): "every character counts",
    ("NewPasswordMixin", "new_password"): "every character counts",
    ("SignInForm", "login"): LOOKED_UP,
    ("CompleteForm", "levels"): "read as levels of the spine, or refused",
    ("CourseForm", "levels"): "read as levels of the spine, or refused",
    ("AmendForm", "levels"): "read as levels of the spine, or refused",
    ("ElsewhereForm", "levels"): "read as levels of the spine, or refused",
    ("ConsentForm", "levels"): "read as levels of the spine, or refused",
    ("PathwayEditForm", "shape"): "read as steps, ways and gates that can be walked, or refused",
    ("PaperIn", "content"): "the bytes of a file, read as base64, or refused",
    ("RuleFilterForm", "q"): LOOKED_UP,
    ("NoteLine", "template"): "only goes out, in the list of a patient's notes",
    ("Said", "drug"): "judged by the verb: only drugs of the tables",
    ("Chosen", "procedure"): LOOKED_UP,
    ("Chosen", "levels"): "judged by the verb: only levels of the procedure",
    ("CompleteIn", "procedure"): LOOKED_UP,
    ("CompleteIn", "levels"): "judged by the door: only levels of the spine",
    ("WaiverIn", "code"): "compared with findings",
    ("WaiverIn", "reason_code"): "judged by the verb: only reasons of the list",
    ("PatientSearch", "words"): LOOKED_UP,
}
# These are cleaned by `patients.records`, which says so field by field.
BY_THE_VERB = {"PatientForm", "PatientIn", "PatientChange"}


def families(cls: type) -> Iterator[type]:
    for each in cls.__subclasses__():
        yield each
        yield from families(each)


def test_every_text_of_a_form_is_cleaned_or_says_why_not() -> None:
    ours = ("pain_clinic", "procedures", "patients", "scheduling")
    loose = {
        (form.__name__, name)
        for form in set(families(forms.Form))
        if form.__module__.startswith(ours)
        for name, field in form.base_fields.items()
        if type(field) is forms.CharField and not isinstance(field, PlainField)
    }
    assert {each for each in loose if each[0] not in BY_THE_VERB} - set(NOT_CLEANED) == set()


def test_every_text_that_the_api_takes_is_cleaned_or_says_why_not() -> None:
    def texts(field: Any) -> bool:
        inner = field.child if isinstance(field, serializers.ListField) else field
        return type(inner) is serializers.CharField and not isinstance(inner, rest.Text)

    taken = {
        (each.__name__, name)
        for each in set(families(serializers.Serializer))
        if each.__module__.partition(".")[0] in {"procedures", "patients", "scheduling"} and not each.__name__.endswith("Out")
        for name, field in each._declared_fields.items()
        if texts(field) and not any(name in base.__dict__.get("_declared_fields", {}) for base in each.__mro__[1:])
    }
    assert {each for each in taken if each[0] not in BY_THE_VERB} - set(NOT_CLEANED) == set()
