"""What the physician says was done, prefilled from the booking, and the answers of the checklists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict

from pain_clinic.texts import PlainField, WallField, clean_lines
from patients import notes
from patients.models import Aspect, ComplicationKind, ComplicationSeverity, DrugKind, Phase, Role
from procedures import levels as targets
from procedures.guidance import MODALITIES
from procedures.models import Procedure, Sedation
from procedures.rules import offers
from procedures.tables import read
from scheduling.forms.clearance import WALL
from scheduling.models import Appointment, CheckAnswer, Side
from scheduling.visits import Done, Given, Harm, Told, done_as, lacks_region, usual_role

DRUG_ROWS = 4
SAY_ROLE = "Say whether this was diagnostic or therapeutic: limits count it by that."
MOST_PLAIN = 2  # fewer regions leave nothing to choose
SCORES = (
    ("nrs_before", "Pain before, 0 to 10", "nrs", Aspect.INDEX, Phase.BEFORE),
    ("nrs_after", "Pain right after, 0 to 10", "nrs", Aspect.INDEX, Phase.AFTER),
    ("peg_before", "PEG before, 0 to 10", "peg", Aspect.TOTAL, Phase.BEFORE),
)
# Contrast media and sedatives are in no table of ours; these are what clinics commonly have.
CONTRAST = ("iohexol", "iopamidol", "gadolinium", "air")
SEDATIVES = ("midazolam", "fentanyl", "propofol", "ketamine")


@cache
def drug_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the drugs that may be named, by kind, as "kind:drug"."""
    steroids = read(only=("steroids",))["steroids"].content
    groups = (
        (DrugKind.STEROID, [(row["id"], row["name"]) for row in steroids["drugs"]]),
        (DrugKind.LOCAL_ANAESTHETIC, [(row["drug"], row["drug"].capitalize()) for row in steroids["local_anaesthetics"]]),
        (DrugKind.CONTRAST, [(name, name.capitalize()) for name in CONTRAST]),
        (DrugKind.SEDATIVE, [(name, name.capitalize()) for name in SEDATIVES]),
    )
    return [(str(kind.label), [(f"{kind}:{drug}", name) for drug, name in drugs]) for kind, drugs in groups]


class CompleteForm(forms.Form):
    """The completion of a case. Everything starts as booked; nothing needs to be typed when all went as planned."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    procedure = forms.ModelChoiceField(queryset=Procedure.objects.none(), empty_label=None, to_field_name="code")
    side = forms.ChoiceField(choices=[("", "no side"), *Side.choices], required=False)
    levels = forms.CharField(max_length=120, required=False, help_text="For instance L4-L5 L5-S1.")
    regions = forms.MultipleChoiceField(label="Where on the body", required=False, widget=forms.CheckboxSelectMultiple)
    role = forms.ChoiceField(label="Role", choices=[("", "Not said yet"), *Role.choices], required=False)
    guidance = forms.ChoiceField(choices=list(MODALITIES.items()))
    sedation = forms.ChoiceField(choices=Sedation.choices)
    operator_name = PlainField(label="By", max_length=120)
    fluoroscopy_seconds = forms.IntegerField(label="Fluoroscopy, seconds", min_value=0, max_value=36_000, required=False)
    dose_ugy_m2 = forms.DecimalField(
        label="Dose-area product, µGy·m²", min_value=0, max_digits=9, decimal_places=2, required=False
    )
    is_image_saved = forms.BooleanField(label="Image saved", required=False)
    harm_kind = forms.ChoiceField(label="Complication", choices=[("", "none"), *ComplicationKind.choices], required=False)
    harm_severity = forms.ChoiceField(label="How bad", choices=ComplicationSeverity.choices, required=False)
    harm_outcome = PlainField(label="What came of it", max_length=200, required=False)
    remark = PlainField(label="Remark", max_length=300, required=False)
    is_signed = forms.BooleanField(label="Sign the note now", required=False, initial=True)
    reason = PlainField(label="Why with gaps in the checklist", max_length=300, required=False)

    def __init__(self, *args: Any, case: Appointment, done: Done, has_gaps: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.case, self.booked = case, done
        self.fields["procedure"].queryset = Procedure.objects.in_order()  # type: ignore[attr-defined]
        self._ask_where()
        self._ask_role()
        for row in range(DRUG_ROWS):
            self.fields[f"drug_{row}"] = forms.ChoiceField(label="Drug", choices=self._drug_choices(), required=False)
            self.fields[f"dose_{row}"] = forms.DecimalField(
                label="mg", min_value=0, max_digits=8, decimal_places=2, required=False
            )
            self.fields[f"volume_{row}"] = forms.DecimalField(
                label="mL", min_value=0, max_digits=6, decimal_places=2, required=False
            )
        for name, label, *_ in SCORES:
            self.fields[name] = forms.DecimalField(
                label=label, min_value=0, max_value=10, max_digits=4, decimal_places=2, required=False
            )
        for section in notes.template_for(case.procedure).sections:
            self.fields[f"section_{section.code}"] = forms.CharField(
                label=section.name, max_length=notes.LONGEST, required=False, widget=forms.Textarea(attrs={"rows": 3})
            )
        if not has_gaps:
            del self.fields["reason"]

    def _ask_where(self) -> None:
        """Offer the regions of the procedure that is named, where there is anything to choose."""
        known = {*targets.regions_offered(self.case.procedure), *self.booked.regions}
        offered = known | {*targets.regions_offered(self._named() or self.case.procedure)}
        if len(offered) < MOST_PLAIN:
            del self.fields["regions"]
            return
        shown = [region for region in targets.BODY if region in offered]
        self.fields["regions"].choices = [(region, targets.ALL_REGIONS[region]) for region in shown]  # type: ignore[attr-defined]

    def _named(self) -> Procedure | None:
        """Return the procedure that was posted, where it is another than booked."""
        posted = str(self.data.get("procedure", "")) if self.is_bound else ""
        if posted in ("", self.case.procedure.code):
            return None
        try:
            return self.fields["procedure"].to_python(posted)
        except forms.ValidationError:
            return None

    def _ask_role(self) -> None:
        """Ask for the role where somebody has to say it, and show one that nobody would guess; else the usual one holds."""
        named = str(self.data.get("procedure", "")) if self.is_bound else self.case.procedure.code
        is_needed = offers.needs_role(named) or offers.needs_role(self.case.procedure.code)
        if is_needed or self.booked.role not in ("", Role.THERAPEUTIC) or self.booked.role != usual_role(self.case.procedure):
            self.fields["role"].required = offers.needs_role(named)
            self.fields["role"].error_messages["required"] = SAY_ROLE
            if not is_needed:
                self.fields["role"].choices = Role.choices  # type: ignore[attr-defined]
            return
        del self.fields["role"]

    def _drug_choices(self) -> list[Any]:
        """Return what may be named; a planned steroid of the clinic's own table is among it."""
        named = {code for _, drugs in drug_choices() for code, _ in drugs}
        own = [(f"{one.kind}:{one.drug}", one.drug.replace("_", " ").capitalize()) for one in self.booked.drugs]
        more = [one for one in own if one[0] not in named]
        return [("", "none"), *drug_choices(), *([("Planned", more)] if more else [])]

    @staticmethod
    def starting_with(done: Done, version: int) -> dict[str, Any]:
        """Return what the form shows at first."""
        values: dict[str, Any] = {
            "version": version, "procedure": done.procedure.code, "side": done.side, "levels": " ".join(done.levels),
            "role": done.role, "regions": list(done.regions),
            "guidance": done.guidance, "sedation": done.sedation, "operator_name": done.operator_name,
            "is_image_saved": bool(done.is_image_saved), "is_signed": True,
        }  # fmt: skip
        for row, drug in enumerate(done.drugs[:DRUG_ROWS]):
            values |= {f"drug_{row}": f"{drug.kind}:{drug.drug}", f"dose_{row}": drug.dose_mg, f"volume_{row}": drug.volume_ml}
        return values | {f"section_{code}": text for code, text in done.sections.items()}

    @classmethod
    def typed_before(cls, kept: QueryDict | None) -> dict[str, Any]:
        """Return what somebody had typed before they did something else first; the version is that of the page anew."""
        if kept is None:
            return {}
        boxes = {name: name in kept for name, one in cls.base_fields.items() if isinstance(one, forms.BooleanField)}
        several = {"regions": kept.getlist("regions")}
        return {name: value for name, value in kept.items() if name not in {"version", "request_key", "act"}} | boxes | several

    def clean_levels(self) -> tuple[str, ...]:
        text: str = self.cleaned_data["levels"]
        try:
            return targets.read_levels(text) if text.strip() else ()
        except ValueError as error:
            raise forms.ValidationError(f"{error}. Write levels such as L4-L5.") from error

    def clean(self) -> dict[str, Any]:
        """Refuse what two fields only say together."""
        values: dict[str, Any] = super().clean() or {}
        procedure = values.get("procedure")
        has_moved = procedure is not None and procedure != self.booked.procedure and "regions" in values
        if procedure is not None and has_moved and lacks_region(procedure, self._where()["regions"]):
            self.add_error("regions", "Choose where on the body it was done.")
        for row in range(DRUG_ROWS):
            if not values.get(f"drug_{row}") and values.get(f"dose_{row}") is not None:
                self.add_error(f"drug_{row}", "Say which drug this dose is of.")
        for name in values:
            if name.startswith("section_"):
                try:
                    values[name] = clean_lines(values[name])
                except ValueError as error:
                    self.add_error(name, f"This text {error}.")
        return values

    def done(self) -> Done:
        """Return what was done, as the verb takes it."""
        said, harm = self.cleaned_data, self.cleaned_data["harm_kind"]
        plain = ("procedure", "side", "levels", "guidance", "sedation", "operator_name", "fluoroscopy_seconds", "dose_ugy_m2",
                 "is_image_saved", "remark")  # fmt: skip
        told: dict[str, Any] = {name: said[name] for name in plain} | self._where() | self._what_for()
        told["drugs"] = tuple(self._drugs())
        told["harms"] = (Harm(harm, said["harm_severity"] or "minor", said["harm_outcome"]),) if harm else ()
        told["scores"] = tuple(
            Told(measure, aspect, said[name], phase) for name, _, measure, aspect, phase in SCORES if said[name] is not None
        )
        told["sections"] = {name.removeprefix("section_"): text for name, text in said.items() if name.startswith("section_")}
        return done_as(self.booked, told)

    def _where(self) -> dict[str, Any]:
        """Return where it was done, as far as somebody said; of another procedure only where that is offered."""
        if "regions" not in self.cleaned_data:
            return {}
        procedure, typed = self.cleaned_data["procedure"], set(self.cleaned_data["regions"])
        if procedure != self.booked.procedure:
            return {"regions": targets.regions_kept(procedure, typed)}
        return {"regions": tuple(region for region in targets.BODY if region in typed)}

    def _what_for(self) -> dict[str, Any]:
        """Return the role, if somebody said it: one that nobody touched is not that of another procedure with its own."""
        typed = self.cleaned_data.get("role")
        procedure = self.cleaned_data["procedure"]
        is_left = typed == self.booked.role and procedure != self.booked.procedure and not offers.needs_role(procedure.code)
        return {} if typed is None or is_left else {"role": typed}

    def _drugs(self) -> Iterator[Given]:
        for row in range(DRUG_ROWS):
            named: str = self.cleaned_data[f"drug_{row}"]
            if named:
                kind, _, drug = named.partition(":")
                dose: Decimal | None = self.cleaned_data[f"dose_{row}"]
                yield Given(kind, drug, dose, self.cleaned_data[f"volume_{row}"])

    @property
    def parts(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the fields under the headings of the page."""
        sections = [name for name in self.fields if name.startswith("section_")]
        named = (
            ("Done", ("procedure", "side", "levels", "regions", "role", "guidance", "sedation", "operator_name")),
            ("Given", tuple(f"{name}_{row}" for row in range(DRUG_ROWS) for name in ("drug", "dose", "volume"))),
            ("Imaging", ("fluoroscopy_seconds", "dose_ugy_m2", "is_image_saved")),
            ("Pain", tuple(name for name, *_ in SCORES)),
            ("Complication", ("harm_kind", "harm_severity", "harm_outcome")),
            ("Note", (*sections, "remark", "is_signed", "reason")),
        )
        return [(title, [self[name] for name in names if name in self.fields]) for title, names in named]


def answers_in(data: QueryDict, items: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the checklist's answers that were given, by item; "yes to all" answers what is still without one."""
    all_yes = data.get("act") == "all"
    found = {}
    for item in items:
        answer = data.get(f"answer_{item}", "") or ("yes" if all_yes else "")
        if answer in CheckAnswer.values:
            found[item] = (str(answer), _plain(data.get(f"note_{item}", "")))
    return found


def _plain(text: str) -> str:
    try:
        return clean_lines(text)[:200].replace("\n", " ")
    except ValueError:
        return ""


class FastingForm(forms.Form):
    """When what was eaten or drunk last ended, by kind, on the wall clock of the site; empty where there was nothing."""

    def __init__(self, *args: Any, kinds: Iterable[str], zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for what in kinds:
            self.fields[f"intake_{what}"] = WallField(
                zone=zone,
                label=what.replace("_", " ").capitalize(),
                required=False,
                widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=WALL),
                input_formats=[WALL],
            )

    @staticmethod
    def starting_with(intake: Mapping[str, datetime], zone: ZoneInfo) -> dict[str, str]:
        """Return what is written down, as the form shows it."""
        return {f"intake_{what}": ended_at.astimezone(zone).strftime(WALL) for what, ended_at in intake.items()}

    def values(self) -> dict[str, datetime | None]:
        """Return what was typed, as instants."""
        return {
            name.removeprefix("intake_"): None if typed is None else typed.astimezone(UTC)
            for name, typed in self.cleaned_data.items()
        }


class LeavingForm(forms.Form):
    """With whom a patient leaves."""

    escort = PlainField(label="Who takes the patient home", max_length=120, required=False)
    reason = PlainField(label="Reason, where something is not as it should be or nobody comes", max_length=200, required=False)
