"""Days and times as a patient reads them: the translation of the language that is active says how they are written."""

from __future__ import annotations

from datetime import date, datetime

from django.utils import dateformat
from django.utils.translation import gettext


def long_day(moment: date) -> str:
    """Return the day with its year, "Monday 21 September 2026"."""
    return dateformat.format(moment, gettext("l j F Y"))


def short_day(moment: date) -> str:
    """Return the day without its year, "Monday 21 September"."""
    return dateformat.format(moment, gettext("l j F"))


def weekday(moment: date) -> str:
    return dateformat.format(moment, "l")


def time_of_day(moment: datetime) -> str:
    """Return the time on its own clock, "9:15 a.m."."""
    return dateformat.format(moment, gettext("g:i a"))
