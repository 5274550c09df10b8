"""What a catalogue row means for booking."""

from __future__ import annotations

from typing import Any

import pytest

from procedures.tables.derived import instructions, needs_of, rounded, values_of

ROW: dict[str, Any] = {
    "id": "esi_tf_lumbar",
    "name": "Transforaminal epidural",
    "category": "epidural",
    "family": "esi",
    "approach": "transforaminal",
    "status": "active",
    "cpt": {"primary": ["64483"], "add_on": ["64484"]},
    "regions": ["lumbar", "sacral"],
    "laterality": ["left", "right"],
    "guidance": {"default": "fluoroscopy", "alternatives": ["ct"]},
    "room_minutes": 32,
    "recovery_minutes": 30,
    "equipment": ["c_arm", "contrast"],
    "sedation": "usually_none",
    "steroid": "yes",
    "bleeding_risk": {"asra_2018": "intermediate"},
    "driver": "required",
    "fasting": "asa_when_sedated",
    "source": [{"title": "A document"}],
    "verified": True,
    "unverified_fields": ["room_minutes"],
}


def kinds(needs: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(need["kind"], need["attribute"], "+".join(need["legs"])) for need in needs]


def asked(**values: Any) -> list[tuple[str, str, str]]:
    plain = {"equipment": [], "guidance": "none", "planned": "none", "has_recovery": True}
    return kinds(needs_of(**{**plain, **values}))


PEOPLE_AND_PLACES = [
    ("physician", "", "procedure"),
    ("nurse", "", "prep+recovery"),
    ("room", "", "procedure+turnover"),
    ("bay", "", "recovery"),
]


@pytest.mark.parametrize(("minutes", "expected"), [(0, 0), (1, 5), (5, 5), (6, 10), (480, 480)])
def test_minutes_are_rounded_up_to_the_grid(minutes: int, expected: int) -> None:
    assert rounded(minutes) == expected


def test_every_procedure_needs_physician_nurse_room_and_bay() -> None:
    assert asked() == PEOPLE_AND_PLACES


def test_nobody_is_needed_for_a_recovery_that_is_not_there() -> None:
    assert asked(has_recovery=False) == [PEOPLE_AND_PLACES[0], ("nurse", "", "prep"), PEOPLE_AND_PLACES[2]]


@pytest.mark.parametrize("planned", ["moderate", "deep", "mac", "general"])
def test_nurse_stays_for_the_procedure_under_sedation(planned: str) -> None:
    assert ("nurse", "", "prep+procedure+recovery") in asked(planned=planned)


def test_nurse_does_not_stay_for_minimal_sedation() -> None:
    assert ("nurse", "", "prep+recovery") in asked(planned="minimal")


@pytest.mark.parametrize(
    ("equipment", "guidance", "device"),
    [
        (["c_arm"], "none", "c_arm"),
        ([], "fluoroscopy", "c_arm"),
        ([], "ultrasound", "ultrasound"),
        (["ultrasound"], "none", "ultrasound"),
        (["rf_generator"], "none", "rf_generator"),
        (["cooling_pump"], "none", "cooling_pump"),
    ],
)
def test_bookable_devices_come_from_equipment_or_guidance(equipment: list[str], guidance: str, device: str) -> None:
    assert asked(equipment=equipment, guidance=guidance) == [*PEOPLE_AND_PLACES, (device, "", "procedure+turnover")]


@pytest.mark.parametrize("guidance", ["optional_fluoroscopy", "ct", "none"])
def test_guidance_that_is_optional_or_elsewhere_needs_no_device(guidance: str) -> None:
    assert asked(equipment=["contrast", "lead_kit"], guidance=guidance) == PEOPLE_AND_PLACES


def test_or_room_is_an_attribute_and_the_representative_a_person() -> None:
    assert asked(equipment=["or_room", "device_representative"]) == [
        *PEOPLE_AND_PLACES[:2],
        ("room", "or_room", "procedure+turnover"),
        PEOPLE_AND_PLACES[3],
        ("device_representative", "", "procedure"),
    ]


def test_values_of_a_row() -> None:
    values = values_of(ROW, position=7, short_name="TFESI lumbar", extra_equipment=["rf_generator", "c_arm"])
    assert {name: values[name] for name in ("room_minutes", "prep_minutes", "turnover_minutes", "recovery_minutes")} == {
        "room_minutes": 35,
        "prep_minutes": 15,
        "turnover_minutes": 10,
        "recovery_minutes": 30,
    }
    assert (values["level_scheme"], values["is_offered"], values["planned_sedation"]) == ("foramina", True, "none")
    assert values["equipment"] == ["c_arm", "contrast", "rf_generator"]
    assert [need["kind"] for need in values["needs"]] == ["physician", "nurse", "room", "bay", "c_arm", "rf_generator"]
    assert (values["max_levels"], values["levels_note"], values["hcpcs"], values["notes"]) == (None, "", [], "")


@pytest.mark.parametrize(
    ("word", "planned"),
    [
        ("none", "none"), ("usually_none", "none"), ("avoid", "none"), ("minimal_optional", "none"),
        ("minimal_or_moderate_optional", "none"), ("moderate_common", "moderate"), ("mac_common", "mac"),
        ("mac_or_general", "mac"),
    ],
)  # fmt: skip
def test_planned_sedation_follows_the_word_of_the_table(word: str, planned: str) -> None:
    assert values_of({**ROW, "sedation": word}, position=1, short_name="x")["planned_sedation"] == planned


def test_future_procedures_are_not_offered() -> None:
    assert values_of({**ROW, "status": "future"}, position=1, short_name="x")["is_offered"] is False


@pytest.mark.parametrize("planned", ["none", "moderate", "mac"])
@pytest.mark.parametrize("driver", ["required", "required_if_sedated", "not_needed"])
def test_instructions_never_speak_of_stopping_a_medicine(planned: str, driver: str) -> None:
    text = instructions(planned=planned, driver=driver)
    assert "Call us about your medicines before your visit." in text
    assert not [word for word in ("do not take", "stop taking", "skip your", "hold your", "pause") if word in text.lower()]


@pytest.mark.parametrize(
    ("planned", "driver", "has_escort", "has_offer"),
    [
        ("none", "not_needed", False, False),
        ("none", "required_if_sedated", False, True),
        ("none", "required", True, False),
        ("mac", "required_if_sedated", True, False),
        ("mac", "not_needed", True, False),
    ],
)
def test_instructions_ask_for_an_escort_where_one_is_needed(planned: str, driver: str, has_escort: bool, has_offer: bool) -> None:
    text = instructions(planned=planned, driver=driver)
    assert ("An adult has to take you home. Please arrange" in text) == has_escort
    assert ("If you choose medicine that makes you drowsy" in text) == has_offer
