"""Form fields in the one shape that the parts draw, and their controls."""

from __future__ import annotations

from typing import Any

from django.forms import BoundField, Textarea
from django.utils.safestring import SafeString

from pain_clinic.templatetags.clinic.library import register

SECTIONS = (
    (
        "Person",
        ("first_name", "last_name", "preferred_name", "birth_date", "sex", "record_number", "external_id", "home_site"),
    ),
    ("Contact", ("email", "phone", "mobile", "language", "channel", "contact", "wants_email", "needs_interpreter")),
    ("Address", ("address", "address_line", "street", "city", "postcode", "postal_code", "state", "country")),
    ("Payer", ("payer", "plan", "member_number")),
)


@register.filter
def describe(field: Any) -> dict[str, Any]:
    """A Django bound field or one of our own `Field`s in the one shape that parts/field.html draws."""
    if isinstance(field, BoundField):
        return {
            "bound": field,
            "name": field.html_name,
            "id": field.id_for_label or field.auto_id,
            "label": field.label,
            "error": " ".join(str(error) for error in field.errors),
            "hint": field.help_text,
            "is_required": field.field.required,
            "kind": kind_of(field),
        }
    return {"own": field, "bound": None, "id": f"id_{field.name}", **{
        name: getattr(field, name) for name in ("name", "label", "error", "hint", "is_required", "kind")
    }}  # fmt: skip


def kind_of(field: BoundField) -> str:
    """What a bound field is drawn as."""
    if field.is_hidden:
        return "hidden"
    if isinstance(field.field.widget, Textarea):
        return "textarea"
    kind = str(getattr(field.field.widget, "input_type", ""))
    several = bool(getattr(field.field.widget, "allow_multiple_selected", False))
    if kind == "checkbox":
        return "checkboxes" if several else "checkbox"
    return kind if kind == "radio" else "text"


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """The widget of a bound field, tied to its hint and its error."""
    attributes: dict[str, str | bool] = {}
    described = [f"{field.auto_id}_{part}" for part, there in (("hint", field.help_text), ("error", field.errors)) if there]
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if field.errors:
        attributes["aria-invalid"] = "true"
    return field.as_widget(attrs=attributes)


@register.filter
def sections(form: Any) -> list[tuple[str, list[BoundField]]]:
    """The fields of the patient form under the headings a person would look for, the rest under "More"."""
    known = {name: title for title, names in SECTIONS for name in names}
    found: dict[str, list[BoundField]] = {title: [] for title, _ in SECTIONS}
    found["More"] = []
    for field in form:
        found[known.get(field.name, "More")].append(field)
    return [(title, fields) for title, fields in found.items() if fields]
