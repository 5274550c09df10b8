"""Blood thinners: hold, laboratory, clearance, shared decision, stents and restart, for each drug and bleeding class.

Nothing here tells anybody to stop a medicine. It tells the clinic what would have to be true and who has to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from fractions import Fraction

from procedures.rules.clinic.drugs import CLASSES, LABS, NO_SECOND_SET, SECOND_SET_TOLD, Drug, Hold, SecondSet
from procedures.rules.dates import Period, as_date, day_end, instant, told, wall_clock
from procedures.rules.facts import Facts, Medication
from procedures.rules.findings import Finding, Moment, Plain, Severity
from procedures.rules.rows import Row, latest

P2Y12 = "p2y12_inhibitor"
# Leads stay in after a trial: medicines stay held until they are out, and the restart counts from then.
TRIAL_FAMILIES = frozenset({"scs_trial"})
TRIAL_PROCEDURES = frozenset({"pns_trial_temp"})
# What is said of a drug that is neither held nor decided on together.
_TOLD = {
    "specialist": "ask haematology or cardiology",
    "contraindicated": "do not proceed on it",
    "advise": "tell the clinician",
}
_NOTES = frozenset({"continue", "advise"})
_DES, _DES_AFTER_ACS, _BARE = Period(months=6), Period(months=12), Period(months=1)


@dataclass(frozen=True)
class Antithrombotics:
    """Every drug of the patient against the procedure; one finding per drug and kind."""

    drugs: Mapping[str, Drug] = field(hash=False)
    upgrading: frozenset[str]
    lab_limits: Mapping[str, tuple[Fraction, int]] = field(hash=False)
    severities: Mapping[str, Severity] = field(hash=False)
    code: str = "antithrombotics"
    off: frozenset[str] = frozenset()
    second: SecondSet = NO_SECOND_SET

    def check(self, facts: Facts, on: date) -> list[Finding]:
        return [finding for part in self.parts(facts, on) for finding in part]

    def parts(self, facts: Facts, on: date) -> Iterator[Iterator[Finding]]:
        """Yield what is said of each drug, finding by finding, so that each can be told what it rests on."""
        bleeding = self.bleeding_class(facts)
        if facts.medications is not None:
            for one in facts.medications:
                yield (finding for finding in self._of_drug(one, bleeding, facts, on) if finding.code not in self.off)
        elif not facts.is_complete and self.asks(bleeding) and "antithrombotic_hold" not in self.off:
            yield iter(
                [self._finding("antithrombotic_hold", None, "Nobody has asked yet about blood thinners.", is_pending=True)]
            )

    def asks(self, bleeding: str) -> bool:
        """Say whether the table asks more than a note of any drug in a bleeding class, so that somebody has to ask for it."""
        return any(drug.holds[bleeding].action not in _NOTES for drug in self.drugs.values())

    def turning_points(self, facts: Facts) -> Iterable[date]:
        """Return the dates on which a laboratory result comes to count, or no longer does."""
        most = max((days for _, days in self.lab_limits.values()), default=0)
        return [lab.on + timedelta(days=days) for lab in facts.labs for days in (0, most + 1)]

    def bleeding_class(self, facts: Facts) -> str:
        """Return the class of the riskiest thing asked for, raised once by several drugs or a patient's own risk."""
        ranks = [CLASSES.index(one.bleeding_class) if one.bleeding_class in CLASSES else 2 for one in facts.request.wanted]
        rank = max(ranks)
        known = [one.drug for one in facts.medications or () if one.drug in self.drugs]
        taken = {drug for drug in known if self.drugs[drug].drug_class in self.upgrading}
        if len(taken) > 1 or facts.bleeding_risk_factors:
            rank = min(rank + 1, 2)
        return CLASSES[rank]

    def _of_drug(self, taken: Medication, bleeding: str, facts: Facts, on: date) -> Iterator[Finding]:
        if taken.drug not in self.drugs:  # the clinic took its row out of the table
            message = f"{taken.drug}: not in the clinic's table; ask haematology or cardiology."
            yield self._finding("antithrombotic_specialist", None, message, bleeding=bleeding, about=taken.drug)
            return
        drug, hold = self.ruling(taken, bleeding, facts)
        name = drug.name
        if hold.action == "hold":
            yield from self._held(drug, taken, hold, bleeding, facts, on)
        elif hold.action == "shared_decision":
            yield self._decision(drug, taken, hold, bleeding, facts, on)
        elif hold.action in _TOLD:
            yield self._finding(f"antithrombotic_{hold.action}", drug, f"{name}: {_TOLD[hold.action]}.", bleeding=bleeding)

    def _decision(self, drug: Drug, taken: Medication, hold: Hold, bleeding: str, facts: Facts, on: date) -> Finding:
        code, name = "antithrombotic_shared_decision", drug.name
        evidence: dict[str, Plain] = {"rule_set": hold.rule_set} if hold.rule_set else {}
        spoke = f" {SECOND_SET_TOLD}" if hold.rule_set else ""
        word = self.is_decided(taken, hold, facts, on)
        if word:
            message = f"{name}: the shared decision with the prescriber is recorded.{spoke}"
            return self._finding(code, drug, message, severity=Severity.ADVICE, evidence=evidence)
        if word is None and taken.is_decided and taken.decided_for is not None:
            evidence["decided_for"], now = _decided_told(taken.decided_for, on)
            what = f' ("{taken.decided}")' if taken.decided else ""
            message = (
                f"{name}: what was decided together was for {evidence['decided_for']}{what}. {now}, or decide anew. "
                f"Nothing is stopped by this.{spoke}"
            )
        else:
            message = (
                f"{name}: clinician and prescriber decide together; no decision is recorded. Nothing is stopped by this.{spoke}"
            )
        return self._finding(code, drug, message, bleeding=bleeding, is_pending=word is None, evidence=evidence)

    def is_decided(self, taken: Medication, hold: Hold, facts: Facts, on: date) -> bool | None:
        """Say whether it was decided together for this slot; None where nobody has yet. That it was not stands for any."""
        if taken.is_decided and taken.decided_for is not None:
            starts = facts.starts(on)
            if is_for_another(taken.decided_for, starts, facts.zone, is_by_hour=hold.is_by_hour):
                return None
        return taken.is_decided

    def ruling(self, taken: Medication, bleeding: str, facts: Facts) -> tuple[Drug, Hold]:
        """Return the row of a medicine and what it says in a bleeding class, laboratory values and indication counted in."""
        drug = self.drugs[taken.drug]
        hold = drug.holds[bleeding]
        if hold.action == "follow_aspirin_rule":
            # Without an indication on file the stricter row counts.
            drug_row = self.drugs["aspirin_secondary" if taken.indication == "secondary" else "aspirin_primary"]
            drug = replace(drug_row, id=drug.id, name=drug.name, drug_class=drug.drug_class)
            hold = drug.holds[bleeding]
        if hold.action != "hold":
            return drug, hold
        if self._second_speaks(bleeding, facts):
            # Its words replace the row's, which tell of a hold.
            said = replace(drug, source=self.second.source, modifiers=(), notes={bleeding: (SECOND_SET_TOLD,)})
            return said, Hold("shared_decision", hold.hours, hold.days, rule_set="IPSIS")
        return drug, self._modified(drug, hold, facts)

    def _second_speaks(self, bleeding: str, facts: Facts) -> bool:
        """Say whether the second rule set is chosen and speaks of this: low when all is counted in, and in the low back.

        A medicine that the table does not know may be one that raises the class: with it the class is not known to be low.
        """
        is_known = all(one.drug in self.drugs for one in facts.medications or ())
        is_low = bleeding == "low" and is_known
        return self.second.is_chosen and is_low and all(one.is_low_back for one in facts.request.wanted)

    def _modified(self, drug: Drug, hold: Hold, facts: Facts) -> Hold:
        for modifier in drug.modifiers:
            if modifier.below is None or (modifier.is_live and (facts.is_complete or modifier.length <= hold.length)):
                continue
            if modifier.is_met(facts.lab(modifier.lab, until=facts.booked_on)):
                return Hold(hold.action, modifier.hours, modifier.days, hold.lab)
        return hold

    def notes(self, taken: Medication, bleeding: str, facts: Facts) -> tuple[str, ...]:
        """Return what the table says of a medicine in words, with the laboratory result that it depends on."""
        drug, _ = self.ruling(taken, bleeding, facts)
        found = list(drug.notes.get(bleeding, ()))
        for modifier in drug.modifiers if drug.holds[bleeding].action not in _NOTES else ():
            lab = facts.lab(modifier.lab, until=facts.booked_on) if modifier.below is not None else None
            if modifier.below is None:
                found.append(f"{modifier.told}.")
            elif lab is None:
                found.append(f"{modifier.told}. No {LABS[modifier.lab]} is on file.")
            elif modifier.is_met(lab):
                found.append(f"{modifier.told}. On file: {LABS[modifier.lab]} {float(lab.value):g} of {told(lab.on)}.")
        return tuple(found)

    def _held(self, drug: Drug, taken: Medication, hold: Hold, bleeding: str, facts: Facts, on: date) -> Iterator[Finding]:
        word = self.is_cleared(drug, taken, hold, bleeding, facts, on)
        is_agreed = bool(word) and taken.cleared_for is not None
        if is_agreed:
            taken = as_told(taken)
        earliest = self._free_from(taken, hold, facts, on)
        evidence: dict[str, Plain] = {"bleeding_class": bleeding, "hold": hold.told(), "last_dose": _dose_told(taken, facts)}
        if earliest is not None and is_agreed and not facts.is_complete and is_unconfirmed(taken):
            stopped = told((taken.cleared_for or (None,))[0])
            evidence["to_confirm"] = stopped
            message = (
                f"{drug.name}: its prescriber agreed to a last dose by {stopped}, and nobody has written down whether it was "
                "stopped then. Ask the patient."
            )
            yield self._finding("antithrombotic_hold", drug, message, earliest=earliest, evidence=evidence, is_pending=True)
        elif earliest is not None:
            said = evidence["last_dose"] if taken.last_dose is None else f"last taken {evidence['last_dose']}"
            message = (
                f"{drug.name}: {said}; at least {hold.told()} are needed at {bleeding} bleeding "
                f"risk, so from {told(earliest)}. The prescriber decides whether it is held."
            )
            yield self._finding("antithrombotic_hold", drug, message, earliest=earliest, evidence=evidence)
        if not word:
            yield self._clearance(drug, taken)
        if drug.drug_class == P2Y12:
            yield from self._stents(drug, facts, on)
        yield self._restart(drug, bleeding, facts, on)
        if hold.lab:  # last, since the others do not rest on it
            yield from self._lab(drug, hold.lab, facts, on)

    def is_cleared(self, drug: Drug, taken: Medication, hold: Hold, bleeding: str, facts: Facts, on: date) -> bool | None:
        """Say whether the prescriber agreed to the times of this slot; None where nobody has answered for them yet."""
        if (
            taken.is_cleared
            and taken.cleared_for is not None
            and taken.cleared_for != self.times(drug, hold, bleeding, facts, on)
        ):
            return None
        return taken.is_cleared

    def times(self, drug: Drug, hold: Hold, bleeding: str, facts: Facts, on: date) -> tuple[Moment, Moment]:
        """Return the latest day or wall-clock moment of a last dose, and the first of a restart; None where people decide."""
        starts = instant(facts.starts(on), facts.zone)
        last: Moment
        if hold.hours is None:
            last = on - timedelta(days=hold.days or 0)
        else:
            last = wall_clock(starts - timedelta(seconds=int(hold.hours * 3600)), facts.zone)
        hours = drug.restart_hours.get(bleeding)
        restart: datetime | None = None
        if hours is not None and not waits_for_leads(facts):
            restart = wall_clock(starts + timedelta(seconds=int(hours * 3600)), facts.zone)
        return last, restart

    def _clearance(self, drug: Drug, taken: Medication) -> Finding:
        if not taken.is_cleared:
            message = f"{drug.name}: no prescriber's clearance for holding it is recorded."
            return self._finding("antithrombotic_clearance", drug, message, is_pending=taken.is_cleared is None)
        last, restart = taken.cleared_for or (None, None)
        given = f"last dose {told(last)}, restart {told(restart) if restart else 'open'}"
        message = (
            f"{drug.name}: the prescriber's clearance was given for other times ({given}); ask again for those of this slot."
        )
        evidence: dict[str, Plain] = {"cleared_last_dose": told(last), "cleared_restart": told(restart) if restart else None}
        return self._finding("antithrombotic_clearance", drug, message, is_pending=True, evidence=evidence)

    def _free_from(self, taken: Medication, hold: Hold, facts: Facts, on: date) -> Moment:
        """Return the first moment that is long enough after the last dose, None when it already is."""
        last = last_dose(taken, facts)
        if hold.hours is None:
            day = as_date(last, facts.zone) + timedelta(days=hold.days or 0)
            return day if on < day else None
        taken_at = instant(last if isinstance(last, datetime) else day_end(last), facts.zone)
        free = taken_at + timedelta(seconds=int(hold.hours * 3600))
        return wall_clock(free, facts.zone) if instant(facts.starts(on), facts.zone) < free else None

    def _lab(self, drug: Drug, test: str, facts: Facts, on: date) -> Iterator[Finding]:
        most, days = self.lab_limits[test]
        lab = facts.lab(test, since=on - timedelta(days=days), until=on)
        if lab is None:
            message = f"{drug.name}: no {test.upper()} from the day before or the day of the procedure is on file."
            severity = Severity.NEEDS_OVERRIDE
            yield self._finding("antithrombotic_lab", drug, message, severity=severity, is_pending=True)
        elif lab.value > most:
            message = f"{drug.name}: {test.upper()} {float(lab.value):g} of {lab.on} is above {float(most):g}."
            evidence: dict[str, Plain] = {
                "lab": test, "value": float(lab.value), "most": float(most), "dated": lab.on.isoformat(),
            }  # fmt: skip
            yield self._finding("antithrombotic_lab", drug, message, evidence=evidence)

    def _stents(self, drug: Drug, facts: Facts, on: date) -> Iterator[Finding]:
        ends = []
        if any(stent.placed_on is None for stent in facts.stents):
            message = f"{drug.name}: the day of a coronary stent is not on file."
            yield self._finding("antithrombotic_stent", drug, message, is_pending=True)
            return
        for stent in facts.stents:
            assert stent.placed_on is not None
            period = _BARE if stent.kind == "bare" else _DES_AFTER_ACS if stent.is_after_acs else _DES
            if on < period.after(stent.placed_on):
                ends.append(period.after(stent.placed_on))
        if ends:
            earliest = latest(ends)
            message = f"{drug.name}: a coronary stent is too young to hold it lightly, until {told(earliest)}."
            yield self._finding("antithrombotic_stent", drug, message, earliest=earliest)

    def _restart(self, drug: Drug, bleeding: str, facts: Facts, on: date) -> Finding:
        hours = drug.restart_hours.get(bleeding)
        if hours is None:
            return self._finding("antithrombotic_restart", drug, f"{drug.name}: the prescriber says when to restart.")
        evidence: dict[str, Plain] = {"restart_after_hours": float(hours)}
        if waits_for_leads(facts):
            message = f"{drug.name}: held until the leads are out; restart {float(hours):g} hours after that."
            return self._finding("antithrombotic_restart", drug, message, evidence=evidence)
        moment = wall_clock(instant(facts.starts(on), facts.zone) + timedelta(seconds=int(hours * 3600)), facts.zone)
        message = f"{drug.name}: restart no sooner than {told(moment)}, {float(hours):g} hours after the procedure."
        return self._finding("antithrombotic_restart", drug, message, earliest=moment, evidence=evidence)

    def _finding(
        self,
        code: str,
        drug: Drug | None,
        message: str,
        *,
        earliest: Moment = None,
        severity: Severity | None = None,
        is_pending: bool = False,
        evidence: Mapping[str, Plain] | None = None,
        bleeding: str = "",
        about: str = "",
    ) -> Finding:
        told_: dict[str, Plain] = {"drug": drug.id} if drug else {}
        if bleeding:
            told_["bleeding_class"] = bleeding
        row = Row(code, severity or self.severities[code], drug.source if drug else "")
        about = drug.id if drug else about
        return row.finding(message, evidence={**told_, **(evidence or {})}, earliest=earliest, is_pending=is_pending, about=about)


def is_for_another(decided: datetime, starts: datetime, zone: tzinfo, *, is_by_hour: bool) -> bool:
    """Say whether what was decided together for one slot is not for another: on another day, or hour where hours count.

    An earlier hour comes too soon after a last dose, a later one too soon before the restart that was named with it.
    """
    if as_date(decided, zone) != as_date(starts, zone):
        return True
    return is_by_hour and instant(starts, zone) != instant(decided, zone)


def _decided_told(decided: datetime, on: date) -> tuple[str, str]:
    """Return for when it was decided together, and why that is not this slot with what would do."""
    if decided.date() != on:
        return told(decided.date()), "The case is on another day now: confirm it for this day"
    return told(decided), "The case begins at another hour now, and for this medicine hours count: confirm it for this hour"


def last_dose(taken: Medication, facts: Facts) -> date | datetime:
    """Return the last dose: a stated one, or the moment of booking for a drug still taken; a plan counts as given."""
    booked = facts.booked_on if facts.as_of is None else facts.as_of
    if taken.last_dose is None:
        return booked
    if taken.is_taken and as_date(taken.last_dose, facts.zone) < as_date(booked, facts.zone):
        return booked
    return taken.last_dose


def as_told(taken: Medication) -> Medication:
    """Return a medicine with the last dose that the patient gave, or with a later one on file.

    One on file that is later than what was agreed speaks against the answer; up to that it was planned, and the later counts.
    """
    if taken.told_last is None:
        return taken
    if _is_after(taken.last_dose, taken.told_last):
        is_against = _is_after(taken.last_dose, (taken.cleared_for or (None,))[0])
        return taken if is_against or taken.cleared_for is None else replace(taken, is_taken=False)
    return replace(taken, last_dose=taken.told_last, is_taken=False)


def is_unconfirmed(taken: Medication) -> bool:
    """Say whether an agreed hold rests on the plan alone: still on file as taken, with no dose that speaks against it."""
    return taken.is_taken and not _is_after(taken.last_dose, (taken.cleared_for or (None,))[0])


def _is_after(dose: Moment, other: Moment) -> bool:
    """Say whether a dose lies after a moment; where either is a day, after that day."""
    if dose is None or other is None:
        return False
    if isinstance(dose, datetime) and isinstance(other, datetime):
        return dose > other
    return _day(dose) > _day(other)


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def waits_for_leads(facts: Facts) -> bool:
    """Say whether leads stay in after what is asked for, so that the restart counts from their removal."""
    return any(one.family in TRIAL_FAMILIES or one.procedure in TRIAL_PROCEDURES for one in facts.request.wanted)


def _dose_told(taken: Medication, facts: Facts) -> str:
    last = last_dose(taken, facts)
    if taken.last_dose is None:
        return f"still taken on {told(last)}"
    return told(wall_clock(last, facts.zone) if isinstance(last, datetime) and last.tzinfo else last)
