"""Translations as files: the words of a `.po` source, the compiled `.mo`, and what no patient should read in them.

Compiled here, so that a clinic needs no tool but this one; `msgfmt` makes the same of the same source.
"""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from gettext import GNUTranslations
from io import BytesIO

from django.utils import dateformat

Words = Mapping[str, str]
LINE = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr(?:\[\d\])?)\s+)?(".*")')
NAMES = re.compile(r"\{[a-z_]+\}|%\(\w+\)s")
HEADER = ""  # its own entry: what a catalogue says of itself
CHARSET = "Content-Type: text/plain; charset=UTF-8\n"
MAGIC, HEAD = 0x950412DE, 28
IN_CONTEXT, NEXT_FORM = "\x04", "\0"
# Formats of days and times, and moments that each of them must tell apart.
_DAY, _TIME = date(2026, 1, 2), datetime(2026, 1, 2, 1, 15)  # noqa: DTZ001  clocks on a wall, compared with one another
DAYS = (_DAY, date(2026, 1, 9), date(2026, 10, 2))  # all Fridays, as is 2 January 2032
FORMATS: Mapping[str, tuple[date, ...]] = {
    "l j F Y": (*DAYS, date(2032, 1, 2)),
    "j F Y": (*DAYS, date(2032, 1, 2)),
    "l j F": DAYS,
    "g:i a": (_TIME, _TIME + timedelta(hours=12), _TIME + timedelta(minutes=1), _TIME + timedelta(hours=1)),
}


class Unreadable(Exception):
    """A file that holds no translation; the text says why."""


def read_source(text: str) -> dict[str, str]:
    """Return the translated words of a `.po` source by their key, and its header; what is fuzzy or empty is not translated.

    Raises:
        Unreadable: with the line.
    """
    return {key: said for key, said, is_fuzzy in _entries(text) if said.strip(NEXT_FORM) and not is_fuzzy}


def keys_of(text: str) -> list[str]:
    """Return what a source or a template asks to be translated, in its order.

    Raises:
        Unreadable: with the line.
    """
    return [key for key, _said, _is_fuzzy in _entries(text) if key != HEADER]


def compiled(words: Words) -> bytes:
    """Return the `.mo` of these words: sorted keys, and always a header with the character set."""
    header = words.get(HEADER, "")
    kept = {**words, HEADER: header if "charset=" in header.lower() else CHARSET + header}
    pairs = [(key.encode(), kept[key].encode()) for key in sorted(kept, key=str.encode)]
    tables: tuple[list[int], list[int]] = ([], [])
    texts = b""
    for half, table in enumerate(tables):
        for pair in pairs:
            table += [len(pair[half]), HEAD + 16 * len(pairs) + len(texts)]
            texts += pair[half] + b"\0"
    first = struct.pack("<7I", MAGIC, 0, len(pairs), HEAD, HEAD + 8 * len(pairs), 0, 0)
    return first + struct.pack(f"<{4 * len(pairs)}I", *tables[0], *tables[1]) + texts


def read_compiled(file: bytes) -> dict[str, str]:
    """Return the words of a `.mo`, which is one that Django can read too.

    Raises:
        Unreadable: it is none.
    """
    try:
        GNUTranslations(BytesIO(file))
        order = "<" if struct.unpack("<I", file[:4])[0] == MAGIC else ">"
        count, first, second = struct.unpack(f"{order}3I", file[8:20])
        halves = []
        for start in (first, second):
            places = struct.unpack(f"{order}{2 * count}I", file[start : start + 8 * count])
            halves.append([file[at : at + size].decode() for size, at in zip(places[::2], places[1::2], strict=True)])
    except (OSError, ValueError, struct.error, LookupError) as error:
        raise Unreadable("is no compiled catalogue") from error
    return dict(zip(*halves, strict=True))


def header_of(words: Words) -> dict[str, str]:
    """Return what a catalogue says of itself, by the names of its header in small letters."""
    lines = (line.partition(":") for line in words.get(HEADER, "").splitlines())
    return {name.strip().lower(): value.strip() for name, _colon, value in lines}


def faults(words: Words) -> list[str]:
    """Return what no patient should get: a placeholder lost or unknown, a day or a time that does not say which."""
    return [f"“{key}” {reason}" for key, said in words.items() if key and (reason := _fault(key, said))]


def _fault(key: str, said: str) -> str:
    if NEXT_FORM in key or IN_CONTEXT in key:
        return ""
    wanted, there = set(NAMES.findall(key)), set(NAMES.findall(said))
    if wanted - there:
        return f"has lost {', '.join(sorted(wanted - there))}"
    if there - wanted:
        return f"names {', '.join(sorted(there - wanted))}, for which there is nothing"
    if {sign for sign in said if sign in "<>&"} - set(key):
        return "holds <, > or &, which would be read as markup"
    if any(name.startswith("%") for name in wanted):
        try:
            said % {name[2:-2]: "" for name in wanted}
        except (ValueError, TypeError, KeyError):
            return "has a % that stands alone; write %%"
    return _fault_of_format(FORMATS[key], said) if key in FORMATS else ""


def _fault_of_format(moments: tuple[date, ...], said: str) -> str:
    try:
        told = {dateformat.format(moment, said) for moment in moments}
    except (TypeError, ValueError):
        told = set()
    return "" if len(told) == len(moments) else f"became “{said}”, which does not tell every day and time from every other"


def _entries(text: str) -> Iterator[tuple[str, str, bool]]:
    entry: dict[str, str] = {}
    part, is_fuzzy, is_next_fuzzy = "", False, False
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = raw.strip()
        if line.startswith("#,"):
            is_next_fuzzy = "fuzzy" in line
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None or not (match[1] or part):
            raise Unreadable(f"line {number} cannot be read")
        if match[1] in ("msgctxt", "msgid") and any(name.startswith("msgstr") for name in entry):
            yield _whole(entry, is_fuzzy)
            entry = {}
        if not entry:
            is_fuzzy, is_next_fuzzy = is_next_fuzzy, False
        part = match[1] or part
        try:
            entry[part] = entry.get(part, "") + str(ast.literal_eval(match[2]))
        except (SyntaxError, ValueError) as error:
            raise Unreadable(f"line {number} cannot be read") from error
    if entry:
        yield _whole(entry, is_fuzzy)


def _whole(entry: Mapping[str, str], is_fuzzy: bool) -> tuple[str, str, bool]:
    """Return key and words of an entry as a `.mo` holds them; a header is never in doubt."""
    key = entry.get("msgid", "")
    if "msgctxt" in entry:
        key = f"{entry['msgctxt']}{IN_CONTEXT}{key}"
    if "msgid_plural" in entry:
        key = f"{key}{NEXT_FORM}{entry['msgid_plural']}"
    said = NEXT_FORM.join(entry[name] for name in sorted(entry) if name.startswith("msgstr"))
    return key, said, is_fuzzy and key != HEADER
