"""What holds today: what can hurt, the ledgers, medicines with their equivalents, and what the payer allows. No database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from dateutil.relativedelta import relativedelta

from patients import mme
from patients.history.charts import Step, day_words
from patients.history.reading import Covered, Done, Fact, Rows, Taken
from patients.history.shapes import Allowance, Chip, Ledger, Medicine, Pair
from patients.history.timeline import GRADES, WORDS, covered_words
from patients.models import Decision, Patient, PlanType

FERTILE = (12, 55)  # whom the table asks about pregnancy, where its rule is not to be found
ANTIBIOTICS = 7
BONE = frozenset({"postmenopausal", "osteoporosis", "osteopenia"})
YEAR = 12
STEROID_RULES = ("cumulative_bone_risk", "cumulative_bone_risk_3y", "cumulative_general")


def chips(rows: Rows, patient: Patient, on: date, age: int) -> tuple[Chip, ...]:
    """Return what can hurt, each said even when it is not known."""
    asked = {fact.code: fact.on for fact in sorted(rows.of("asked"), key=lambda fact: fact.on or date.min)}
    standing = [fact for fact in rows.of("condition") if _holds(fact, on)]
    thinners = [one for one in rows.medicines if one.kind == "antithrombotic" and not _is_stopped(one, on)]
    found = [
        _chip("thinner", "Blood thinner", [_medicine_words(one) for one in thinners], asked.get("antithrombotics")),
        _chip("allergy", "Allergy", [_allergy(fact) for fact in rows.of("allergy")], asked.get("allergies")),
        _chip("implant", "Implant", [_named(fact) for fact in rows.of("implant") if _holds(fact, on)], asked.get("implants")),
    ]
    least, most = _fertile(rows)
    is_pregnant = [fact for fact in standing if fact.code == "pregnancy"]
    if is_pregnant or (patient.sex != "male" and least <= age <= most):
        told = [f"since {day_words(fact.on)}" if fact.on else "yes" for fact in is_pregnant]
        found.append(_chip("pregnancy", "Pregnancy", told, asked.get("pregnancy")))
    infections = [fact for fact in rows.of("condition") if fact.code == "infection" and (_holds(fact, on) or _treated(fact, on))]
    found.append(_chip("infection", "Infection", [_infection(fact, on) for fact in infections], asked.get("infection")))
    others = [fact for fact in standing if fact.code in ("diabetes", "bleeding_risk", "osteoporosis", "osteopenia")]
    return (*found, *(Chip("condition", _named(fact), _with_a1c(fact, rows), "hurts") for fact in others))


def _chip(kind: str, label: str, told: Sequence[str], asked_on: date | None) -> Chip:
    if told:
        return Chip(kind, label, ", ".join(told), "hurts")
    if asked_on is not None:
        return Chip(kind, label, f"none (asked {day_words(asked_on)})", "none")
    return Chip(kind, label, "not asked", "unknown")


def _holds(fact: Fact, on: date) -> bool:
    return fact.until is None or fact.until > on


def _is_stopped(one: Taken, on: date) -> bool:
    return one.stopped_on is not None and one.stopped_on <= on


def _medicine_words(one: Taken) -> str:
    return f"{one.name} {one.dose}".strip()


def _allergy(fact: Fact) -> str:
    grade = "" if fact.more == "unknown" else f" ({GRADES.get(fact.more, fact.more).lower()})"
    return f"{fact.name or WORDS['allergy'].get(fact.code, fact.code)}{grade}"


def _named(fact: Fact) -> str:
    return fact.name or WORDS[fact.what].get(fact.code, fact.code)


def _treated(fact: Fact, on: date) -> bool:
    """Say whether an infection that is over still counts, because antibiotics ended only lately."""
    until = _antibiotics_until(fact)
    return until is not None and until + relativedelta(days=ANTIBIOTICS) > on


def _antibiotics_until(fact: Fact) -> date | None:
    return date.fromisoformat(fact.more) if fact.more[:1].isdigit() else None


def _infection(fact: Fact, on: date) -> str:
    until = _antibiotics_until(fact)
    told = f", antibiotics until {day_words(until)}" if until else ""
    return f"{fact.name or 'yes'}{told}"


def _with_a1c(fact: Fact, rows: Rows) -> str:
    if fact.code != "diabetes":
        return ""
    values = sorted((one for one in rows.of("labresult") if one.code == "hba1c"), key=lambda one: one.on or date.min)
    if not values or values[-1].on is None:
        return "HbA1c not on file"
    return f"HbA1c {Decimal(values[-1].name).normalize():f} %, {day_words(values[-1].on)}"


def _fertile(rows: Rows) -> tuple[int, int]:
    for _, code, data in rows.steroids:
        if code == "pregnancy_fluoro":
            least, most = (data.get("params") or {}).get("ask_age_range", FERTILE)
            return least, most
    return FERTILE


def ledgers(rows: Rows, on: date) -> tuple[Ledger, ...]:
    """Return the sums of steroid and of radiation, with the limits that the clinic's tables give."""
    return (*_steroids(rows, on), _radiation(rows.done, on))


def _steroids(rows: Rows, on: date) -> Iterator[Ledger]:
    """Yield the total of each window that a rule limits for this patient; without any rule, that of a year."""
    equal = {code: data["mg_equal_to_4mg_methylprednisolone"] for section, code, data in rows.steroids if section == "drugs"}
    has_bone_risk = any(fact.code in BONE and _holds(fact, on) for fact in rows.of("condition"))
    limits = []
    for section, code, data in rows.steroids:
        params = data.get("params") or {}
        if section == "rules" and code in STEROID_RULES and bool(params.get("applies_if_any")) == has_bone_risk:
            limits.append((params["window_months"], params["limit_mpe_mg"]))
    for months, most in sorted(limits) or [(YEAR, None)]:
        yield _steroid_ledger(rows, on, equal, months, most)


def _steroid_ledger(rows: Rows, on: date, equal: dict[str, float], months: int, most: float | None) -> Ledger:
    first = on - relativedelta(months=months)
    total, uncounted, count = Fraction(0), 0, 0
    for one in rows.given:
        if one.kind != "steroid" or not first <= one.given_on <= on:
            continue
        count += 1
        if one.dose_mg is None or one.drug not in equal:
            uncounted += 1
        else:
            total += Fraction(one.dose_mg) * 4 / Fraction(str(equal[one.drug]))
    notes = [f"{count} dose{'' if count == 1 else 's'}, in methylprednisolone equivalents"]
    if uncounted:
        notes.append(f"{uncounted} without a dose on record: the total is a lower bound")
    return Ledger(
        label=f"Steroid, {months} months",
        total=f"{round(float(total), 1):g} mg",
        limit=f"{most:g} mg" if most is not None else "no limit in the tables",
        share=min(round(float(total) / most * 100), 100) if most else None,
        is_over=most is not None and total > Fraction(str(most)),
        notes=tuple(notes),
        months=months,
        amount=round(float(total), 1),
        unit="mg methylprednisolone equivalents",
        most=most,
    )


def _radiation(done: Iterable[Done], on: date) -> Ledger:
    first = on - relativedelta(months=YEAR)
    held = [one for one in done if first <= one.done_on <= on and one.guidance in ("fluoroscopy", "ct")]
    seconds = sum(one.fluoroscopy_seconds or 0 for one in held)
    product = sum((one.dose_ugy_m2 or Decimal(0) for one in held), Decimal(0))
    silent = sum(one.fluoroscopy_seconds is None for one in held)
    has_dose = any(one.dose_ugy_m2 is not None for one in held)
    dose = f"{product.normalize():f} µGy·m² dose-area product" if has_dose else "no dose-area product on record"
    notes = [f"{dose}, {len(held)} session{'' if len(held) == 1 else 's'}"]
    if silent:
        notes.append(f"{silent} without a beam time on record: the total is a lower bound")
    minutes, rest = divmod(seconds, 60)
    total = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return Ledger(
        "Fluoroscopy, 12 months", total, "no limit in the tables", None, False, tuple(notes),
        months=YEAR, amount=float(seconds), unit="s of beam time",
    )  # fmt: skip


def medicines(taken: Sequence[Taken], on: date) -> tuple[tuple[Medicine, ...], tuple[Medicine, ...]]:
    """Return what is taken now, what can hurt first, and what was taken."""
    rank = {"antithrombotic": 0, "opioid": 1, "glp1": 2, "other": 3}
    found = [
        Medicine(
            one.name, one.dose, one.indication.replace("_", " "), one.started_on, one.stopped_on,
            is_opioid=one.kind == "opioid", is_thinner=one.kind == "antithrombotic",
        )
        for one in sorted(taken, key=lambda one: (rank.get(one.kind, 3), one.name))
    ]  # fmt: skip
    now = tuple(one for one in found if one.stopped_on is None or one.stopped_on > on)
    return now, tuple(one for one in found if one.stopped_on is not None and one.stopped_on <= on)


def opioids(taken: Iterable[Taken]) -> list[mme.Taken]:
    """Return the opioids, as their equivalents are computed."""
    return [mme.Taken(one.drug, one.daily_amount, one.started_on, one.stopped_on) for one in taken if one.kind == "opioid"]


def steps(taken: Sequence[mme.Taken], factors: dict[str, Decimal], on: date) -> list[Step]:
    """Return the days on which the equivalents changed, with what they were from then on."""
    days = {one.started_on for one in taken if one.started_on} | {one.stopped_on for one in taken if one.stopped_on}
    if any(one.started_on is None for one in taken):
        days.add(date.min)
    return [Step(day, float(mme.total(taken, factors, day).mme)) for day in sorted(days) if day <= on]


def mme_words(taken: Sequence[mme.Taken], factors: dict[str, Decimal], on: date) -> tuple[str, bool]:
    """Return the equivalents of today in words, and whether the table asks to reassess."""
    if not any(one.is_taken_on(on) for one in taken):
        return "", False
    total = mme.total(taken, factors, on)
    uncounted = f"; not counted: {', '.join(one.replace('_', ' ') for one in total.uncounted)}" if total.uncounted else ""
    return f"{float(total.mme):g} MME a day{uncounted}", total.is_to_reassess


def coverage(covered: Sequence[Covered], patient: Patient, on: date) -> tuple[Pair, ...]:
    """Return who pays."""
    plans = dict(PlanType.choices)
    found = {
        (one.rank, one.payer): plans.get(one.plan_type, one.plan_type)
        for one in covered
        if (one.valid_until is None or one.valid_until >= on) and (one.valid_from is None or one.valid_from <= on)
    }
    if not found and patient.payer:
        return (Pair(patient.payer, "as said at registration"),)
    return tuple(Pair(payer, plan) for (_, payer), plan in sorted(found.items()))


def allowances(covered: Iterable[Covered], on: date) -> tuple[Allowance, ...]:
    """Return the authorisations that still matter: those asked for, and those that have not run out."""
    found = []
    for one in covered:
        if one.covers is None or one.is_withdrawn or (one.allowed_until is not None and one.allowed_until < on):
            continue
        left = "" if one.units is None else f"{max(one.units - (one.used or 0), 0)} of {one.units} left"
        tone = {Decision.PENDING: "pending", Decision.REFUSED: "deny"}.get(Decision(one.status or "pending"), "")
        found.append(
            Allowance(
                what=covered_words(one),
                number=one.number or "",
                state=Decision(one.status or "pending").label,
                until=day_words(one.allowed_until) if one.allowed_until else "",
                left=left if one.status == Decision.APPROVED else "",
                payer=one.payer,
                tone=tone,
            )
        )
    return tuple(found)
