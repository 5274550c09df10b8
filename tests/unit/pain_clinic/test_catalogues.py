"""Translation files: read as translators write them, compiled as the tools of others do, held back where they bring markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings as django_settings

from pain_clinic import catalogues
from pain_clinic.catalogues import Unreadable, compiled, keys_of, read_compiled, read_source


def test_our_compiler_makes_what_is_shipped() -> None:
    shipped = Path(django_settings.LOCALE_PATHS[0])
    place = shipped / "es/LC_MESSAGES/django.po"
    source = place.read_text(encoding="utf-8")

    assert read_compiled(compiled(read_source(source))) == read_compiled(place.with_suffix(".mo").read_bytes())
    assert keys_of((shipped / "django.pot").read_text(encoding="utf-8")) == keys_of(source)


def test_a_source_is_read_as_translators_write_it() -> None:
    source = """
# a remark
#, fuzzy
msgid "one"
msgstr "um?"

#~ msgid "old"
#~ msgstr "velho"

msgctxt "alt. month"
msgid "May"
msgstr "maio"

msgid ""
"two "
"lines"
msgstr "duas "
"linhas"

msgid "%d day"
msgid_plural "%d days"
msgstr[0] "%d dia"
msgstr[1] "%d dias"

msgid "none"
msgstr ""
"""

    assert read_source(source) == {"alt. month\x04May": "maio", "two lines": "duas linhas", "%d day\0%d days": "%d dia\0%d dias"}
    with pytest.raises(Unreadable, match="line 2 cannot be read"):
        read_source('msgid "a"\nmsgstr "b\n')


@pytest.mark.parametrize(
    ("key", "said", "is_fine"),
    [
        ("How are you?", "Como está?", True),
        ("How are you?", '<a href="//x.example">?</a>', False),
        ("Go", "A & B", False),
    ],
)
def test_a_translation_that_brings_markup_is_held_back(key: str, said: str, is_fine: bool) -> None:
    assert (catalogues.faults({key: said}) == []) is is_fine
