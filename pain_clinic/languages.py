"""The languages that patients read: English, and every one whose compiled translation lies in a locale folder.

Nothing in the code names a language further: who adds `locale/pt/LC_MESSAGES/django.po` and compiles it has added
Portuguese. A code is written as Django writes it, `pt` or `pt-br`; the folder of `pt-br` is `pt_BR`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import get_language_info, to_language, to_locale
from django.utils.translation.trans_real import parse_accept_lang_header

from pain_clinic import catalogues

ENGLISH = "en"
LONGEST = 16
SHAPE = r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$"  # of a code, in the database too
FILE = Path("LC_MESSAGES") / "django.mo"
TEMPLATE = "django.pot"


@dataclass(frozen=True, slots=True)
class Language:
    """A language by its code, what staff call it, what its readers call it, and other names that files may have."""

    code: str
    name: str
    own_name: str
    also: tuple[str, ...] = ()

    @property
    def is_from_the_right(self) -> bool:
        return self.code in settings.LANGUAGES_BIDI or self.code.partition("-")[0] in settings.LANGUAGES_BIDI


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A folder with a translation, how much of it is there, and why it is not offered; `remark` keeps nothing back."""

    language: Language
    folder: Path
    missing: tuple[str, ...]
    total: int
    problems: tuple[str, ...]
    remark: str = ""

    @property
    def is_offered(self) -> bool:
        return not self.problems

    @property
    def percent(self) -> int:
        """Return how much is translated; only a whole translation is 100."""
        return 100 * (self.total - len(self.missing)) // self.total if self.total else 0


def offered() -> tuple[Language, ...]:
    """Return the languages that a patient can be given: English, then the others in order of their English names."""
    return _offered(tuple(Path(path) for path in settings.LOCALE_PATHS), tuple(settings.LANGUAGES_HELD_BACK))


def codes() -> tuple[str, ...]:
    return tuple(one.code for one in offered())


def choices() -> list[tuple[str, str]]:
    """Return code and English name of each, as forms want them."""
    return [(one.code, one.name) for one in offered()]


def known() -> str:
    """Return the languages in words, for who named one that is none of them."""
    return ", ".join(f"{one.name} ({one.code})" for one in offered())


def readable(code: str) -> str:
    """Return the language in which we can write to a reader of this one: itself, the one that it is a kind of, or English."""
    there = codes()
    return next((one for one in (code, code.partition("-")[0]) if one in there), ENGLISH)


def name(code: str) -> str:
    """Return what staff call a language, also one whose translation was taken away."""
    return next((one.name for one in offered() if one.code == code), "") or _language(code, {}).name


def preferred(accepted: str) -> str:
    """Return the first language of an Accept-Language header that is offered; English without one."""
    there = codes()
    for code, _weight in parse_accept_lang_header(accepted):
        if found := next((one for one in (code, code.partition("-")[0]) if one in there), ""):
            return found
    return ENGLISH


def look() -> list[Found]:
    """Return every folder with a translation as it is now, offered or not."""
    return _look(tuple(Path(path) for path in settings.LOCALE_PATHS), tuple(settings.LANGUAGES_HELD_BACK))


@lru_cache(maxsize=64)
def _offered(paths: tuple[Path, ...], held_back: tuple[str, ...]) -> tuple[Language, ...]:
    """Read the folders once in the life of a process, as Django reads the translations themselves."""
    found = (one.language for one in _look(paths, held_back) if one.is_offered and one.language.code != ENGLISH)
    return (Language(ENGLISH, "English", "English"), *sorted(found, key=lambda one: (one.name, one.code)))


def _look(paths: tuple[Path, ...], held_back: tuple[str, ...]) -> list[Found]:
    wanted = tuple(_wanted(paths))
    found: dict[str, Found] = {}
    for path in paths:
        for folder in sorted(path.iterdir()) if path.is_dir() else ():
            if (folder / FILE).is_file() or (folder / FILE).with_suffix(".po").is_file():
                one = _read(folder, wanted, held_back)
                found.setdefault(one.language.code, one)
    return list(found.values())


def _wanted(paths: tuple[Path, ...]) -> list[str]:
    """Return every text that patients read: the template of the first folder that has one."""
    template = next((path / TEMPLATE for path in paths if (path / TEMPLATE).is_file()), None)
    return catalogues.keys_of(template.read_text(encoding="utf-8")) if template else []


def _read(folder: Path, wanted: tuple[str, ...], held_back: tuple[str, ...]) -> Found:
    code = to_language(folder.name)
    problems, words, remark = [], {}, ""
    if not re.fullmatch(SHAPE, code) or len(code) > LONGEST:
        problems.append(f"“{folder.name}” is no code of a language")
    elif to_locale(code) != folder.name:
        problems.append(f"the folder has to be called {to_locale(code)}")
    if code in held_back:
        problems.append("held back by LANGUAGES_HELD_BACK")
    try:
        words = catalogues.read_compiled((folder / FILE).read_bytes())
    except FileNotFoundError:
        problems.append("not compiled yet")
    except (OSError, catalogues.Unreadable):
        problems.append(f"{FILE.name} cannot be read")
    missing = tuple(key for key in wanted if key not in words)
    if words and wanted and len(missing) == len(wanted):
        problems.append("nothing that patients read is translated")
    problems += catalogues.faults(words)
    if words and _source_of(folder) not in (None, {key: said for key, said in words.items() if key}):
        remark = "its source has changed since it was compiled"
    language = _language(code, catalogues.header_of(words))
    return Found(language=language, folder=folder, missing=missing, total=len(wanted), problems=tuple(problems), remark=remark)


def _source_of(folder: Path) -> dict[str, str] | None:
    try:
        words = catalogues.read_source((folder / FILE).with_suffix(".po").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, catalogues.Unreadable):
        return None
    return {key: said for key, said in words.items() if key}


def _language(code: str, header: dict[str, str]) -> Language:
    """Return a language with its names: those of the catalogue's header, else Django's, else the code."""
    try:
        info = get_language_info(code)
    except KeyError:
        info = {"code": code, "name": code, "name_local": code}
    beside = "" if info["code"] == code else f" ({code})"
    own = header.get("x-own-name") or f"{info['name_local'][:1].upper()}{info['name_local'][1:]}{beside}"
    also = tuple(word.strip() for word in header.get("x-also", "").split(",") if word.strip())
    return Language(code, (header.get("x-name") or f"{info['name']}{beside}")[:60], own[:60], also)
