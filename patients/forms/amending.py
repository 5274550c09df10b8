"""What is amended about a performed procedure: as it stands, to be changed where it was otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from django import forms

from pain_clinic.texts import PlainField
from patients import problems
from patients.amending import Drug, Harm
from patients.forms.levels import LevelsField
from patients.models import ComplicationKind, ComplicationSeverity, DrugKind, GivenDrug, PerformedProcedure, Role
from procedures import levels as targets
from procedures.guidance import MODALITIES
from procedures.models import Procedure, Sedation
from procedures.tables import read

SIDES = [("", "no side"), *targets.SIDE_LABELS.items()]
MOST_PLAIN = 2  # fewer regions leave nothing to choose
SPARE = 2  # empty lines for drugs that were left out
UNKNOWN = [("", "not known"), ("yes", "Yes"), ("no", "No")]
PLAIN = ("side", "guidance", "sedation", "role", "operator_name", "fluoroscopy_seconds", "dose_ugy_m2", "body_site",
         "indication")  # fmt: skip


@cache
def drug_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the steroids and local anaesthetics of the tables, as "kind:drug"."""
    steroids = read(only=("steroids",))["steroids"].content
    groups = (
        (DrugKind.STEROID, [(row["id"], row["name"]) for row in steroids["drugs"]]),
        (DrugKind.LOCAL_ANAESTHETIC, [(row["drug"], row["drug"].capitalize()) for row in steroids["local_anaesthetics"]]),
    )
    return [(str(kind.label), [(f"{kind}:{drug}", name) for drug, name in drugs]) for kind, drugs in groups]


class AmendForm(forms.Form):
    """A performed procedure as it stands. What is left alone is not amended."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    procedure = forms.ModelChoiceField(queryset=Procedure.objects.none(), empty_label=None, to_field_name="code", required=False)
    side = forms.ChoiceField(choices=SIDES, required=False)
    levels = LevelsField(max_length=120, required=False, help_text="For instance L4-L5 L5-S1.")
    regions = forms.MultipleChoiceField(label="Where on the body", required=False, widget=forms.CheckboxSelectMultiple)
    body_site = PlainField(label="Body part", max_length=40, required=False)
    role = forms.ChoiceField(choices=Role.choices)
    guidance = forms.ChoiceField(choices=[("", "not known"), *MODALITIES.items()], required=False)
    sedation = forms.ChoiceField(choices=Sedation.choices)
    operator_name = PlainField(label="By", max_length=120, required=False)
    fluoroscopy_seconds = forms.IntegerField(label="Fluoroscopy, seconds", min_value=0, max_value=36_000, required=False)
    dose_ugy_m2 = forms.DecimalField(
        label="Dose-area product, µGy·m²", min_value=0, max_digits=9, decimal_places=2, required=False
    )
    is_image_saved = forms.ChoiceField(label="Image saved", choices=UNKNOWN, required=False)
    indication = forms.ChoiceField(label="For the payer it was", required=False)
    note = PlainField(label="Remark", max_length=300, required=False)
    harm_kind = forms.ChoiceField(label="Complication since", choices=[("", "none"), *ComplicationKind.choices], required=False)
    harm_severity = forms.ChoiceField(label="How bad", choices=ComplicationSeverity.choices, required=False)
    harm_on = forms.DateField(
        label="Noticed on", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    harm_outcome = PlainField(label="What came of it", max_length=200, required=False)
    reason = PlainField(label="Why this is amended", max_length=300)
    is_signed = forms.BooleanField(label="Sign the amendment now", required=False)

    def __init__(
        self, *args: Any, row: PerformedProcedure, drugs: Sequence[GivenDrug], may_sign: bool, today: date, **kwargs: Any
    ) -> None:
        kwargs.setdefault("initial", _standing(row, drugs, may_sign=may_sign))
        super().__init__(*args, **kwargs)
        self.row, self.drugs, self.today = row, list(drugs), today
        self.fields["procedure"].queryset = Procedure.objects.in_order()  # type: ignore[attr-defined]
        words = dict.fromkeys((*problems.indications(), *filter(None, [row.indication])))
        choices = [("", "not said"), *((word, problems.in_words(word)) for word in words)]
        self.fields["indication"].choices = choices  # type: ignore[attr-defined]
        if row.procedure_id is not None:
            self.fields["procedure"].required = True
        self._ask_where()
        for place in range(len(self.drugs) + SPARE):
            self._add_drug(place)
        if not may_sign:
            del self.fields["is_signed"]

    def _add_drug(self, place: int) -> None:
        known = self.drugs[place] if place < len(self.drugs) else None
        word = f"{known.kind}:{known.drug}" if known else ""
        groups = drug_choices()
        if word and word not in {value for _, each in groups for value, _ in each}:
            groups = [("On record", [(word, known.drug.replace("_", " ").capitalize())]), *groups]  # type: ignore[union-attr]
        nothing = "not given after all" if known else "none"
        self.fields[f"drug_{place}"] = forms.ChoiceField(label="Drug", choices=[("", nothing), *groups], required=False)
        for name, label, digits in (("dose", "mg", 8), ("volume", "mL", 6)):
            self.fields[f"{name}_{place}"] = forms.DecimalField(
                label=label, min_value=0, max_digits=digits, decimal_places=2, required=False
            )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        for place in range(len(self.drugs) + SPARE):
            if not values.get(f"drug_{place}") and place >= len(self.drugs) and values.get(f"dose_{place}") is not None:
                self.add_error(f"drug_{place}", "Say which drug this dose is of.")
        noticed = values.get("harm_on")
        if values.get("harm_kind") and noticed and not self.row.done_on <= noticed <= self.today:
            self.add_error("harm_on", "Give a day from the procedure until today.")
        return values

    def _ask_where(self) -> None:
        """Offer the regions of the procedure on record and of the one that is named; outside the catalogue, all of them."""
        own = self.row.procedure
        offered = {region for one in (own, self._named()) if one is not None for region in targets.regions_offered(one)}
        shown = {*self.row.regions, *(offered if own is not None else targets.BODY)}
        if len(shown) < MOST_PLAIN:
            del self.fields["regions"]
            return
        choices = [(region, targets.ALL_REGIONS[region]) for region in targets.BODY if region in shown]
        self.fields["regions"].choices = choices  # type: ignore[attr-defined]

    def _named(self) -> Procedure | None:
        """Return the procedure that was posted."""
        try:
            return self.fields["procedure"].to_python(str(self.data.get("procedure", "")))
        except forms.ValidationError:
            return None

    def _regions(self) -> list[str]:
        """Return where it was done; of another procedure only where that is offered."""
        said, known = self.cleaned_data, self.row.regions
        typed = {*said.get("regions", known), *(region for region in known if region not in targets.BODY)}
        if said["procedure"] is not None and said["procedure"] != self.row.procedure:
            return list(targets.regions_kept(said["procedure"], typed))
        return list(known) if typed == set(known) else [region for region in targets.BODY if region in typed]

    def changes(self) -> dict[str, Any]:
        """Return the fields as they are to stand."""
        said = self.cleaned_data
        found = {name: said[name] for name in PLAIN}
        found |= {"levels": said["levels"], "regions": self._regions(), "note": said["note"]}
        found["is_image_saved"] = {"yes": True, "no": False}.get(said["is_image_saved"])
        if said["procedure"] is not None:
            found["procedure"] = said["procedure"]
        if said["operator_name"] != self.row.operator_name:
            found["operator"] = None  # whose account it is, nobody said
        return found

    def given(self) -> tuple[Drug, ...]:
        """Return the drugs as they are to stand."""
        return tuple(self._given())

    def _given(self) -> Iterator[Drug]:
        for place in range(len(self.drugs) + SPARE):
            named: str = self.cleaned_data[f"drug_{place}"]
            if not named:
                continue
            kind, _, drug = named.partition(":")
            dose: Decimal | None = self.cleaned_data[f"dose_{place}"]
            known = self.drugs[place] if place < len(self.drugs) else None
            yield Drug(kind, drug, dose, self.cleaned_data[f"volume_{place}"], known)

    def harms(self) -> tuple[Harm, ...]:
        """Return the complication that came up, if one did."""
        said = self.cleaned_data
        if not said["harm_kind"]:
            return ()
        return (Harm(said["harm_kind"], said["harm_severity"] or "minor", said["harm_on"] or self.today, said["harm_outcome"]),)

    @property
    def parts(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the fields under the headings of the page."""
        given = [f"{name}_{place}" for place in range(len(self.drugs) + SPARE) for name in ("drug", "dose", "volume")]
        named: tuple[tuple[str, Sequence[str]], ...] = (
            (
                "Done",
                (
                    "procedure",
                    "side",
                    "levels",
                    "regions",
                    "body_site",
                    "role",
                    "indication",
                    "guidance",
                    "sedation",
                    "operator_name",
                ),
            ),
            ("Given", given),
            ("Imaging", ("fluoroscopy_seconds", "dose_ugy_m2", "is_image_saved", "note")),
            ("Complication", ("harm_kind", "harm_severity", "harm_on", "harm_outcome")),
            ("Reason", ("reason", "is_signed")),
        )
        return [(title, [self[name] for name in names if name in self.fields]) for title, names in named]


def _standing(row: PerformedProcedure, drugs: Sequence[GivenDrug], *, may_sign: bool) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(row, name) for name in PLAIN}
    values |= {
        "version": row.version, "procedure": row.procedure.code if row.procedure else None, "levels": " ".join(row.levels),
        "regions": list(row.regions),
        "note": row.note, "is_signed": may_sign,
        "is_image_saved": {True: "yes", False: "no", None: ""}[row.is_image_saved],
    }  # fmt: skip
    for place, drug in enumerate(drugs):
        values |= {f"drug_{place}": f"{drug.kind}:{drug.drug}", f"dose_{place}": drug.dose_mg, f"volume_{place}": drug.volume_ml}
    return values
