"""What the patient has to do before the visit, computed from the case: until when to eat and drink, and the way home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from procedures import fasting
from procedures.models import Driver
from scheduling.letters.moments import short_day, time_of_day
from scheduling.models import Appointment

NONE, UNSURE, NEEDED = "", "driver_unsure", "driver"


@dataclass(frozen=True, slots=True)
class LastIntakes:
    """The last moment for each kind of intake, on the site's clocks."""

    fatty: datetime
    light: datetime
    clear: datetime


def last_intakes(appointment: Appointment, zone: ZoneInfo) -> LastIntakes | None:
    """Return until when to eat and drink, or None when nobody has to fast.

    Counted back from the start of the procedure in elapsed hours. Milk counts with light meals, whichever of the two
    ends earlier. Midnight is given as 11:59 p.m. of the day before, which nobody takes for the wrong day.
    """
    if not fasting.applies(appointment.sedation):
        return None
    hours = fasting.minimum()
    light = max(hours["light_meal"], hours["infant_formula_or_other_milk"])
    return LastIntakes(
        fatty=_until(appointment.starts_at - hours["fatty_or_fried_meal_or_meat"], zone),
        light=_until(appointment.starts_at - light, zone),
        clear=_until(appointment.starts_at - hours["clear_liquids"], zone),
    )


def way_home(appointment: Appointment) -> str:
    """Return the passage about the way home: somebody has to drive, perhaps, or nothing to say."""
    if fasting.applies(appointment.sedation) or appointment.procedure.driver == Driver.REQUIRED:
        return NEEDED
    return UNSURE if appointment.procedure.driver == Driver.REQUIRED_IF_SEDATED else NONE


def to_do(
    appointment: Appointment,
    zone: ZoneInfo,
    say: Callable[..., str],
    *,
    medicines: str = "medicines",
    is_full: bool = True,
    is_today: bool = False,
) -> list[str]:
    """Return what to do before the visit, a line for each, in the words that `say` gives for a passage.

    `is_full` also names what there is no need for, and diabetes; on the day itself only what can still be done counts.
    """
    lines: list[str] = []
    last = last_intakes(appointment, zone)
    if last is not None:
        if not is_today:
            lines.append(say("fasting_fatty", fatty_until=_in_words(last.fatty)))
            lines.append(say("fasting_light", light_until=_in_words(last.light)))
        lines.append(say("fasting_clear", clear_until=_in_words(last.clear)))
    elif is_full:
        lines.append(say("fasting_none"))
    home = way_home(appointment)
    if home:
        lines.append(say(home))
    if medicines and not is_today:
        lines.append(say(medicines))
    if is_full:
        lines.append(say("diabetes"))
    lines.append(say("bring"))
    return lines


def _in_words(moment: datetime) -> str:
    return f"{time_of_day(moment)} ({short_day(moment)})"


def _until(moment: datetime, zone: ZoneInfo) -> datetime:
    local = moment.astimezone(zone)
    return (moment - timedelta(minutes=1)).astimezone(zone) if (local.hour, local.minute) == (0, 0) else local
