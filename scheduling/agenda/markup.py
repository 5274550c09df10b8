"""The board's bands, bars and chips as HTML.

A template that loops over a thousand bars costs more than everything that is read for them; a format for each costs
little. Every value passes `escape`, the one that Django's own templates use, without the detour through lazy texts.
The rest of the board is a template like every other page.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from django.utils.safestring import SafeString, mark_safe

from pain_clinic.looks import at, lasting, status_word
from scheduling.agenda.shapes import Band, Bar, Chip, Leg

BAND = '<div class="{}"></div>'
LABELLED = '<div class="{}"><span>{}</span></div>'
LEG = '<i class="{}" data-of="{}"></i>'
BAR = '<a class="{}" href="{}" data-panel="{}" data-case="{}" data-version="{}" data-move="{}" data-minutes="{}" data-span="{}"'
FACE = '><span class="face"><span class="l1"><span class="who">{}</span>'
LINES = '</span><span class="l2">{} <b>{}</b></span><span class="l2">{}</span><span class="sr">{}</span></span></a>'
CHIP = '<a class="{}" href="{}" data-panel="{}"><b>{}</b><span>{}</span><span class="sr">{}</span></a>'
CURRENT = ' aria-current="true"'
MARKS = {"allergy": '<i class="mark-allergy"></i>', "same_name": '<i class="mark-twin"></i>'}
WAITS, STANDS = '<i class="mark-wait"></i>', '<i class="mark-rule"></i>'
WAITS_TOLD, STANDS_TOLD = "Waits for something", "A rule stands against it"
UNASKED_TOLD = "The rules could not be asked"  # whether one stands nobody knows: the sign is the same
CARRIES = {"physician": ("room", "device"), "room": ("physician", "device"), "device": ("physician", "room")}


def bands(found: Iterable[Band]) -> SafeString:
    """Return a lane's ground: closed time, breaks, absences, blocks, holds."""
    return _joined(
        _filled(
            LABELLED if band.label else BAND,
            f"band band-{band.kind}{f' f-{band.category}' if band.category else ''} {at(band.slot)} {lasting(band.span)}",
            *filter(None, (band.label,)),
        )
        for band in found
    )


def bars(found: Iterable[Bar], by: str) -> SafeString:
    """Return the bars of a lane, each leg in its place; `by` says what the lanes are, so what need not be said."""
    first, second = CARRIES[by]
    return _joined(
        _bar(bar, leg, f"{getattr(bar, first)} {getattr(bar, second)}") if leg.kind == "procedure" else _leg(bar, leg)
        for bar in found
        for leg in bar.legs
    )


def chips(found: Iterable[Chip]) -> SafeString:
    """Return the cases of one resource and day of a week."""
    return _joined(
        _filled(
            CHIP,
            f"chip f-{chip.hue} s-{chip.status}",
            chip.url,
            chip.case_url,
            chip.clock,
            chip.patient,
            f"{chip.procedure} {chip.target}, {status_word(chip.status)}",
        )
        for chip in found
    )


def _leg(bar: Bar, leg: Leg) -> str:
    held = " is-held" if leg.is_held else ""
    return _filled(LEG, f"leg leg-{leg.kind} f-{bar.hue}{held} {at(leg.slot)} {lasting(leg.span)}", str(bar.public_id))


def _bar(bar: Bar, leg: Leg, carried: str) -> str:
    chosen = " is-selected" if bar.is_selected else ""
    told = [status_word(bar.status), *(flag.text for flag in bar.flags)]
    told += [WAITS_TOLD] if bar.is_waiting else []
    told += [STANDS_TOLD] if bar.is_refused else []
    told += [UNASKED_TOLD] if bar.is_unasked else []
    opened = _filled(
        BAR,
        f"bar f-{bar.hue} s-{bar.status}{chosen} {at(leg.slot)} {lasting(leg.span)}",
        bar.url,
        bar.case_url,
        str(bar.public_id),
        str(bar.version),
        f"{bar.case_url}move/",
        str(bar.minutes),
        str(leg.span),
    )
    return "".join(
        (
            opened,
            CURRENT if bar.is_selected else "",
            _filled(FACE, f"{bar.clock} {bar.patient}"),
            *(MARKS.get(flag.kind, "") for flag in bar.flags),
            WAITS if bar.is_waiting else "",
            STANDS if bar.is_refused or bar.is_unasked else "",
            _filled(LINES, bar.procedure, bar.target, carried, " ".join(f"{one}." for one in told)),
        )
    )


def _filled(form: str, *values: str) -> str:
    """Return a form of ours with every value escaped."""
    return form.format(*map(escape, values))


def _joined(parts: Iterable[str]) -> SafeString:
    return mark_safe("\n".join(parts))  # nosec B308 B703  # noqa: S308 - forms of ours, filled by `_filled` alone
