"""What happened, line by line: procedures, scores, medicines, facts and results, what the payer said, visits and messages.

No database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from patients import outcomes
from patients.history.beyond import Beyond, Letter, Visit
from patients.history.charts import day_words
from patients.history.reading import Covered, Done, Fact, Given, Rows, Scored, Taken
from patients.history.shapes import Entry, Relief
from patients.history.targets import Place, in_words, is_at
from patients.models import (
    Agent,
    ComplicationKind,
    ConditionKind,
    Device,
    Grade,
    LabTest,
    Origin,
    Topic,
    VaccineKind,
)
from procedures import guidance as guiding
from procedures import levels as spine

FAMILIES = {
    "esi": "Epidural",
    "mbb_diagnostic": "Medial branch block",
    "facet_injection": "Facet injection",
    "facet_rfa": "Facet ablation",
    "facet_rfa_cooled": "Cooled facet ablation",
    "si_injection": "Sacroiliac injection",
    "si_rfa": "Sacroiliac ablation",
    "genicular_block": "Genicular block",
    "genicular_rfa": "Genicular ablation",
    "tpi": "Trigger point injection",
    "scs_trial": "Stimulator trial",
    "scs_implant": "Stimulator implant",
}
ORDER = {"visits": 0, "procedures": 1, "scores": 2, "medicines": 3, "facts": 4, "payer": 5, "messages": 6}
LEFT = {"sent": "sent", "failed": "failed", "skipped": "not sent"}
ROUND_IT = ("before", "after")
PHASES = {"before": "before it", "after": "right after it"}
ASPECTS = {"now": " now", "worst": " at worst", "average": " on average"}
SHORT = {"nrs": "Pain", "vas": "Pain (0-100)", "peg": "PEG", "percent_relief": "Relief as told", "pgic": "Global change"}
WORDS: Mapping[str, Mapping[str, str]] = {
    "allergy": dict(Agent.choices),
    "condition": dict(ConditionKind.choices),
    "implant": dict(Device.choices),
    "labresult": dict(LabTest.choices),
    "vaccination": dict(VaccineKind.choices),
    "plannedsurgery": {"arthroplasty": "Joint replacement", "other": "Operation"},
    "complication": dict(ComplicationKind.choices),
    "asked": dict(Topic.choices),
}
GRADES = dict(Grade.choices)


def name_of(done: Done) -> str:
    """Return a procedure with its levels and side, as staff say it."""
    name = done.short_name or done.other_name
    where = spine.shown(done.levels, done.side, scheme=done.level_scheme or "", regions=done.regions)
    if not done.levels and not done.regions and done.body_site:
        where = done.body_site.replace("_", " ")
    return f"{name} {where}".strip()


def entries(
    rows: Rows, reliefs: Mapping[int, Relief], above: Beyond, *, what: str, at: Place | None, day_at: Callable[[datetime], date],
    note_url: Callable[[UUID], str], done_url: Callable[[UUID], str],
) -> list[Entry]:  # fmt: skip
    """Return the lines of these kinds, of one place if one is chosen, latest first; `day_at` says on which day a moment was."""
    done = {one.pk: one for one in rows.done}
    held = [one for one in rows.done if at is None or is_at(one, at)]
    found: list[Entry] = []
    if what in ("", "procedures"):
        found += _procedures(held, rows, reliefs, note_url, done_url)
    if what in ("", "scores"):
        about = None if at is None else {one.pk for one in held}
        told = (
            rows.scores if what else [one for one in rows.scores if one.phase not in ROUND_IT]
        )  # those stand with their session
        found += _scores(told, done, about)
    if what in ("", "visits"):
        found += _visits(one for one in above.visits or () if at is None or is_at(one, at))
    if at is None:  # nothing of the rest has a place
        if what in ("", "medicines"):
            found += _medicines(rows.medicines, day_at)
        if what in ("", "facts"):
            found += _facts(rows.facts, day_at)
        if what in ("", "payer"):
            found += _payer(rows.covered)
        if what == "messages":
            found += _letters(above.letters or ())
        if not what:
            found += _correspondence(above.letters or ())
    return sorted(found, key=lambda entry: (-entry.on.toordinal(), ORDER[entry.kind]))


def _procedures(
    done: Iterable[Done], rows: Rows, reliefs: Mapping[int, Relief], note_url: Callable[[UUID], str],
    done_url: Callable[[UUID], str],
) -> Iterator[Entry]:  # fmt: skip
    drugs, scores = rows.drugs_of(), rows.scores_of()
    harms: dict[int | None, list[Fact]] = {}
    for harm in rows.of("complication"):
        harms.setdefault(harm.about, []).append(harm)
    for one in done:
        has_note = one.note_id is not None and not one.note_is_in_error
        yield Entry(
            on=one.done_on,
            kind="procedures",
            title=name_of(one),
            more=", ".join([*_how(one, drugs.get(one.pk, ())), *_pain_round_it(scores.get(one.pk, ()))]),
            category=one.category or "",
            family=one.family or "",
            relief=reliefs[one.pk],
            harm=", ".join(f"{WORDS['complication'].get(harm.code, harm.code)} ({harm.name})" for harm in harms.get(one.pk, ())),
            note_url=note_url(one.note_id) if has_note and one.note_id else "",
            note_state="signed" if one.note_signed_at else "not signed",
            url=done_url(one.public_id),
            performed=one.public_id,
            note=one.note_id if has_note else None,
        )


def _how(one: Done, drugs: Iterable[Given]) -> Iterator[str]:
    if one.is_elsewhere:
        yield f"elsewhere: {one.where_elsewhere}" if one.where_elsewhere else "elsewhere"
    if one.operator_name:
        yield one.operator_name
    if one.role == "diagnostic":
        yield "diagnostic"
    if one.guidance and one.guidance != "none":
        beam = f" {one.fluoroscopy_seconds} s" if one.fluoroscopy_seconds is not None else ""
        yield f"{guiding.in_sentence(one.guidance)}{beam}"
    for drug in drugs:
        if drug.kind == "steroid":
            dose = f" {_plain(drug.dose_mg)} mg" if drug.dose_mg is not None else ", dose not recorded"
            yield f"{drug.drug.replace('_', ' ')}{dose}"


def _pain_round_it(scores: Iterable[Scored]) -> Iterator[str]:
    """Yield the pain that was treated, before and right after."""
    told = {one.phase: one.value for one in scores if one.measure == "nrs" and one.value is not None and one.aspect == "index"}
    values = [_plain(told[phase]) for phase in ROUND_IT if phase in told]
    if values:
        yield f"pain {' → '.join(values)}"


def _scores(scores: Sequence[Scored], done: Mapping[int, Done], about: set[int] | None) -> Iterator[Entry]:
    """Yield one line for the answers of a day about the same session and phase."""
    groups: dict[tuple[date, int | None, str], list[Scored]] = {}
    for one in scores:
        if about is None or one.performed_id in about:
            groups.setdefault((one.scored_on, one.performed_id, one.phase), []).append(one)
    for (on, key, phase), held in groups.items():
        session = done.get(key) if key is not None else None
        told = _diary(held) if phase == "diary" else ", ".join(_value(one) for one in held)
        about_id = session.public_id if session else None
        yield Entry(on, "scores", told, _about(session, phase, on) + _by(held), performed=about_id)


def _diary(held: Sequence[Scored]) -> str:
    values = [one.value for one in held if one.value is not None]
    told = " → ".join(_plain(value) for value in values[:8])
    return f"Block diary: pain {told}" if values else "Block diary"


def _value(one: Scored) -> str:
    measure = outcomes.measures().get(one.measure)
    name = SHORT.get(one.measure) or (measure.name if measure else one.measure)
    value = _plain(one.value) if one.value is not None else one.range_text
    unit = " %" if one.measure == "percent_relief" else ""
    return f"{name}{ASPECTS.get(one.aspect, '')} {value}{unit}"


def _about(session: Done | None, phase: str, on: date) -> str:
    if session is None:
        return ""
    name = name_of(session)
    if phase in PHASES:
        return f"{PHASES[phase]}: {name}"
    days = (on - session.done_on).days
    return f"{in_words(days)} after {name}" if days else f"after {name}"


def _by(held: Sequence[Scored]) -> str:
    is_patients = all(one.origin == Origin.PATIENT for one in held)
    return " · told by the patient" if is_patients else ""


def _medicines(medicines: Iterable[Taken], day_at: Callable[[datetime], date]) -> Iterator[Entry]:
    for one in medicines:
        name = f"{one.name} {one.dose}".strip()
        if one.started_on is not None:
            yield Entry(one.started_on, "medicines", f"Started {name}", one.indication.replace("_", " "))
        elif one.stopped_on is None:
            yield Entry(day_at(one.recorded_at), "medicines", f"Takes {name}", "since when is not recorded")
        if one.stopped_on is not None:
            yield Entry(one.stopped_on, "medicines", f"Stopped {name}")


def _facts(facts: Iterable[Fact], day_at: Callable[[datetime], date]) -> Iterator[Entry]:
    held = list(facts)
    asked: dict[date, list[str]] = {}
    for one in held:
        if one.what == "asked":
            asked.setdefault(one.on or day_at(one.recorded_at), []).append(WORDS["asked"].get(one.code, one.code))
    for on, topics in asked.items():
        yield Entry(on, "facts", "Asked, and nothing found:", ", ".join(sorted(topics)))
    for one in held:
        if one.what in ("complication", "asked"):
            continue  # told with its procedure, and by the day above
        word = WORDS[one.what].get(one.code, one.code.replace("_", " "))
        name = one.name if one.what not in ("labresult", "plannedsurgery", "vaccination") else ""
        on = one.on or day_at(one.recorded_at)
        if one.what == "allergy":
            yield Entry(on, "facts", f"Allergy: {name or word}", GRADES.get(one.more, one.more).lower())
        elif one.what == "labresult":
            yield Entry(on, "facts", f"{word}: {_plain(Decimal(one.name))}")
        elif one.what == "plannedsurgery":
            yield Entry(on, "facts", f"{word} planned", one.name.replace("_", " "))
        elif one.what == "vaccination":
            yield Entry(on, "facts", f"Vaccine: {word}")
        else:
            yield Entry(on, "facts", f"{'Implant' if one.what == 'implant' else 'Condition'}: {name or word}", one.more)
            if one.until is not None:
                ended = "Removed" if one.what == "implant" else "Ended"
                yield Entry(one.until, "facts", f"{ended}: {name or word}")


def _payer(covered: Iterable[Covered]) -> Iterator[Entry]:
    for one in covered:
        if one.covers is None or one.is_withdrawn:
            continue
        what = covered_words(one)
        number = f"number {one.number}" if one.number else ""
        if one.asked_on is not None:
            yield Entry(one.asked_on, "payer", f"Authorisation asked for: {what}", one.payer)
        if one.decided_on is not None:
            told = ", ".join(part for part in (one.payer, number) if part)
            yield Entry(one.decided_on, "payer", f"Authorisation {one.status}: {what}", told)


def _visits(visits: Iterable[Visit]) -> Iterator[Entry]:
    """Yield the cases to come, and those of which nothing performed is on record."""
    for one in visits:
        more = [one.starts_at.strftime("%H:%M"), one.where] if one.is_coming else [one.why]
        yield Entry(
            on=one.on, kind="visits", title=one.procedure, more=", ".join(part for part in more if part), category=one.category,
            family=one.family, url=one.url, status=one.status, case=one.case,
        )  # fmt: skip


def _letters(letters: Iterable[Letter]) -> Iterator[Entry]:
    for one in letters:
        told = [f"about the visit of {day_words(one.case_on)}", one.why, f"answered: {one.answer.lower()}" if one.answer else ""]
        yield Entry(
            on=one.on, kind="messages", title=f"{one.what} {LEFT.get(one.state, one.state)}",
            more=", ".join(part for part in told if part), is_bad=one.state == "failed", case=one.case,
        )  # fmt: skip


def _correspondence(letters: Iterable[Letter]) -> Iterator[Entry]:
    """Yield one line for the messages about each visit, on the day of the last: what a reader of everything wants to know.

    What was not to be sent after all is told by the filter alone.
    """
    cases: dict[str, list[Letter]] = {}
    for one in letters:
        if one.state == "skipped":
            continue
        cases.setdefault(one.case, []).append(one)
    for held in cases.values():
        if len(held) == 1:
            yield from _letters(held)
            continue
        states = [one.state for one in held]
        told = [f"{states.count(state)} {word}" for state, word in LEFT.items() if state in states]
        answers = dict.fromkeys(one.answer.lower() for one in reversed(held) if one.answer)
        yield Entry(
            on=max(one.on for one in held), kind="messages",
            title=f"{len(held)} messages about the visit of {day_words(held[0].case_on)}",
            more=", ".join(told) + (f"; answered: {', '.join(answers)}" if answers else ""), is_bad="failed" in states,
            case=held[0].case,
        )  # fmt: skip


def covered_words(one: Covered) -> str:
    """Return what an authorisation covers as staff say it, with its levels and side."""
    covers = one.covers or ""
    name = FAMILIES.get(covers) or covers.replace("_", " ").capitalize()
    return f"{name} {spine.shown(one.levels or (), one.side or '')}".strip()


def _plain(value: Decimal | None) -> str:
    return f"{value.normalize():f}" if value is not None else ""
