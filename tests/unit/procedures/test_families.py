"""Families of procedures have names for people."""

from __future__ import annotations

from procedures import families, tables


def test_every_family_of_the_catalogue_has_a_name() -> None:
    known = {str(row["family"]) for row in tables.read()["catalogue"].content["procedures"]}

    assert known - families.NAMES.keys() == set()


def test_family_that_the_clinic_added_is_read_from_its_code() -> None:
    assert families.name_of("esi") == "epidural steroid injections"
    assert families.name_of("cryo_something") == "cryo something"


def test_choices_are_in_the_order_of_their_names() -> None:
    assert families.choices(["tpi", "esi"]) == [("esi", "Epidural steroid injections"), ("tpi", "Trigger point injections")]
