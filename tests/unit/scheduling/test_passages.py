"""Every passage in every language, with nothing missing and no placeholder lost."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

from pain_clinic.catalogues import keys_of
from scheduling.letters.passages import LABELS, PASSAGES, filled, placeholders_of, said
from scheduling.models import MessageKind

OTHERS = ["es"]  # what is shipped whole; further ones are the clinic's


@pytest.mark.parametrize("language", OTHERS)
def test_no_passage_and_no_label_is_missing_in_any_language(language: str) -> None:
    with translation.override(language):
        untranslated = [text for text in (*(each.text for each in PASSAGES.values()), *LABELS) if gettext(text) == text]

    assert untranslated == []


@pytest.mark.parametrize("language", ["en", *OTHERS])
def test_no_placeholder_is_lost_or_invented_in_any_language(language: str) -> None:
    differing = {
        key: each.as_shipped(language)
        for key, each in PASSAGES.items()
        if placeholders_of(each.as_shipped(language)) != each.needs
    }

    assert differing == {}


def test_every_kind_of_message_has_subject_and_opening() -> None:
    assert [kind for kind in MessageKind.values if f"subject_{kind}" not in PASSAGES or f"opening_{kind}" not in PASSAGES] == []


def test_own_words_stand_in_the_place_of_those_shipped() -> None:
    own = {("greeting", "en"): "Hello {first_name}!"}

    with translation.override("en"):
        assert said("greeting", "en", own, {"first_name": "Vera"}) == "Hello Vera!"
    with translation.override("es"):
        assert said("greeting", "es", own, {"first_name": "Vera"}) == "Hola, Vera:"


def test_nothing_but_a_known_name_in_braces_means_anything() -> None:
    assert filled("{{ a }} {b} {unknown} {% now %} {b.c}", {"b": "{a}", "a": "x"}) == "{{ a }} {a} {unknown} {% now %} {b.c}"


def test_time_of_day_at_the_end_of_a_sentence_has_one_full_stop() -> None:
    assert (
        filled("at {arrival}. Will you come at {arrival}?", {"arrival": "9:00 a.m."})
        == "at 9:00 a.m. Will you come at 9:00 a.m.?"
    )


def marked(path: Path) -> set[str]:
    """Return the texts that a module marks for the translators."""
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    return {
        str(call.args[0].value)
        for call in calls
        if getattr(call.func, "id", "") in ("gettext", "noop") and isinstance(call.args[0], ast.Constant)
    }


def test_the_template_of_translators_holds_every_text_that_code_marks() -> None:
    base = Path(settings.BASE_DIR)
    modules = [path for app in ("pain_clinic", "patients", "scheduling") for path in (base / app).rglob("*.py")]
    templates = [*(base / "templates/scheduling/link").glob("*.html"), *(base / "templates/scheduling/messages").glob("letter.*")]
    shown = {said for path in templates for said in re.findall(r'{% translate "([^"]+)" %}', path.read_text(encoding="utf-8"))}

    said = shown.union(*(marked(path) for path in modules))

    assert len(said) > 200
    assert said - set(keys_of((base / "locale/django.pot").read_text(encoding="utf-8"))) == set()
