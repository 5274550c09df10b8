"""The rules engine: what it keeps, how it sums up, and what a waiver can lift."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procedures.rules import (
    Decision,
    Facts,
    Finding,
    Request,
    Rule,
    Session,
    Severity,
    Waiver,
    assess,
    decision,
    matured,
    ordered,
    structural,
    unwaived,
)

ON = date(2026, 9, 15)
AT = datetime(2026, 9, 14, 11, 0, tzinfo=UTC)
REQUEST = Request(on=ON, procedure="esi_tf_lumbar", family="esi", side="right", levels=("L4-L5",))
FACTS = Facts(request=REQUEST)


@dataclass(frozen=True)
class Says:
    """A rule that always gives the same answer."""

    finding: Finding | None
    code: str = "says"

    def check(self, facts: Facts, on: date) -> Finding | None:
        return self.finding


@dataclass(frozen=True)
class OncePerMonth:
    """A rule that looks at the facts: one session of the family in 30 days, both ends counted out."""

    code: str = "once_per_month"

    def check(self, facts: Facts, on: date) -> Finding | None:
        held = [s.on for s in facts.sessions if s.family == facts.request.family and s.status == "performed"]
        recent = [day for day in held if on - day < timedelta(days=30)]
        if not recent:
            return None
        return finding(self.code, Severity.BLOCKER, earliest=max(recent) + timedelta(days=30))


def finding(code: str, severity: Severity = Severity.BLOCKER, **values: object) -> Finding:
    return Finding(code=code, severity=severity, message=f"{code}.", **values)  # type: ignore[arg-type]


def anyone(severity: Severity) -> bool:
    return True


def nobody(severity: Severity) -> bool:
    return False


def only_warn(severity: Severity) -> bool:
    return severity is Severity.NEEDS_OVERRIDE


def waiver(code: str, reason_code: str = "clinical", text: str = "Discussed with the patient.") -> Waiver:
    return Waiver(code, reason_code, text)


# --- severities and findings -----------------------------------------------------------------------------------------


def test_severity_has_the_words_of_tables_and_screen() -> None:
    assert [(s.value, s.label, s.rank, s.refuses) for s in Severity] == [
        ("deny", "not allowed", 0, True),
        ("warn", "needs a reason", 1, True),
        ("info", "note", 2, False),
    ]
    assert Severity("warn") is Severity.NEEDS_OVERRIDE


def test_finding_tells_itself_as_plain_data() -> None:
    told = finding("cap", about="lumbar", evidence=(("counted", 4), ("limit", 4)), earliest=ON, source="table").as_json()
    assert told == {
        "code": "cap",
        "key": "cap:lumbar",
        "about": "lumbar",
        "severity": "deny",
        "label": "not allowed",
        "message": "cap.",
        "evidence": {"counted": 4, "limit": 4},
        "earliest": "2026-09-15",
        "structural": False,
        "pending": False,
        "source": "table",
    }
    assert finding("cap").as_json()["earliest"] is None


def test_pending_finding_waits_instead_of_refusing() -> None:
    waiting = finding("no_driver", pending=True)
    assert (waiting.label, waiting.refuses) == ("waiting for a fact", False)


@pytest.mark.parametrize("code", ["", "a:b"])
def test_finding_refuses_a_code_that_would_confuse_waivers(code: str) -> None:
    with pytest.raises(ValueError, match="colon"):
        finding(code)


@pytest.mark.parametrize("values", [{"severity": Severity.ADVICE}, {"severity": Severity.BLOCKER, "pending": True}])
def test_structural_finding_is_never_milder_nor_pending(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="structural"):
        Finding(code="in_the_past", message="Past.", structural=True, **values)  # type: ignore[arg-type]


def test_structural_makes_a_blocker_of_bookings_own() -> None:
    made = structural("outside_hours", "Closed.", evidence={"unit": "Room 1"}, about="7", earliest=ON)
    assert made == Finding(
        "outside_hours", Severity.BLOCKER, "Closed.", (("unit", "Room 1"),), ON, structural=True, source="booking", about="7"
    )
    assert structural("in_the_past", "Past.").evidence == ()


# --- assess ----------------------------------------------------------------------------------------------------------


def test_assess_gives_nothing_for_no_rules() -> None:
    assert assess([], FACTS, ON) == ()


def test_assess_shows_the_gravest_first_and_hides_nothing() -> None:
    told = [finding("b", Severity.ADVICE), finding("a", Severity.NEEDS_OVERRIDE), finding("z"), finding("z", about="L")]
    rules: list[Rule] = [*(Says(each) for each in told), Says(None)]
    assert [each.key for each in assess(rules, FACTS, ON)] == ["z", "z:L", "a", "b"]


def test_structural_findings_come_first_and_pending_last_of_their_kind() -> None:
    found = [finding("a", pending=True), finding("b"), structural("z", "Past."), finding("c", Severity.NEEDS_OVERRIDE)]
    assert [each.code for each in ordered(found)] == ["z", "b", "a", "c"]


@pytest.mark.parametrize(("days", "is_found"), [(29, True), (30, False)])
def test_assess_hands_facts_and_date_to_the_rule(days: int, is_found: bool) -> None:
    session = Session(on=ON - timedelta(days=days), procedure="esi_tf_lumbar", family="esi", status="performed")
    found = assess([OncePerMonth()], replace(FACTS, sessions=(session,)), ON)
    assert [each.earliest for each in found] == ([ON + timedelta(days=30 - days)] if is_found else [])


def test_assess_of_written_cases_has_no_pending() -> None:
    rules = [Says(finding("no_driver", pending=True))]
    assert assess(rules, FACTS, ON)[0].pending
    assert assess(rules, Facts(request=REQUEST, is_complete=True), ON) == (finding("no_driver"),)


def test_assess_lets_a_broken_rule_stop_the_booking() -> None:
    @dataclass(frozen=True)
    class Broken:
        code: str = "broken"

        def check(self, facts: Facts, on: date) -> Finding | None:
            raise LookupError("no such drug")

    with pytest.raises(LookupError):
        assess([Broken(), Says(None)], FACTS, ON)


# --- pending at its deadline -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "is_pending"), [(-1, True), (0, False), (1, False)])
def test_pending_finding_takes_its_own_severity_at_the_deadline(minutes: int, is_pending: bool) -> None:
    waiting = finding("no_driver", Severity.NEEDS_OVERRIDE, pending=True, due_at=AT)
    (now,) = matured([waiting], AT + timedelta(minutes=minutes))
    assert (now.pending, now.severity) == (is_pending, Severity.NEEDS_OVERRIDE)


def test_matured_leaves_findings_without_deadline_alone() -> None:
    found = (finding("a"), finding("b", pending=True))
    assert matured(found, AT) == found


# --- decision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], Decision("allowed", None)),
        ([finding("n", Severity.ADVICE, earliest=ON)], Decision("allowed", None)),
        ([finding("p", pending=True, earliest=ON)], Decision("allowed", None)),
        ([finding("w", Severity.NEEDS_OVERRIDE, earliest=ON)], Decision("warn", None)),
        ([finding("d", earliest=ON), finding("w", Severity.NEEDS_OVERRIDE)], Decision("denied", ON)),
        ([finding("d", earliest=ON), finding("e", earliest=date(2026, 10, 1))], Decision("denied", date(2026, 10, 1))),
        ([finding("d", earliest=ON), finding("e")], Decision("denied", None)),
        (
            [finding("d", earliest=ON), finding("e", earliest=datetime(2026, 9, 15, 9, 30))],
            Decision("denied", datetime(2026, 9, 15, 9, 30)),
        ),
        (
            [finding("d", earliest=date(2026, 9, 16)), finding("e", earliest=datetime(2026, 9, 15, 9, 30))],
            Decision("denied", date(2026, 9, 16)),
        ),
    ],
)
def test_decision_sums_up(found: list[Finding], expected: Decision) -> None:
    assert decision(found) == expected


# --- waivers ---------------------------------------------------------------------------------------------------------


def test_waiver_lifts_the_finding_it_names_and_no_other() -> None:
    found = (finding("cap", about="lumbar"), finding("cap", about="cervical"), finding("dose"))
    assert [each.key for each in unwaived(found, [waiver("cap:lumbar")], anyone)] == ["cap:cervical", "dose"]
    assert [each.key for each in unwaived(found, [waiver("cap")], anyone)] == ["cap:cervical", "cap:lumbar", "dose"]


def test_waiver_lifts_only_what_its_giver_may() -> None:
    found = (finding("cap"), finding("driver", Severity.NEEDS_OVERRIDE))
    both = [waiver("cap"), waiver("driver")]
    assert [each.key for each in unwaived(found, both, only_warn)] == ["cap"]
    assert unwaived(found, both, nobody) == found
    assert unwaived(found, both, anyone) == ()


@pytest.mark.parametrize(("reason_code", "text"), [("", "why"), ("clinical", ""), (" ", "why"), ("clinical", "\n")])
def test_waiver_without_reason_lifts_nothing(reason_code: str, text: str) -> None:
    assert unwaived([finding("cap")], [waiver("cap", reason_code, text)], anyone) == (finding("cap"),)


def test_notes_and_pending_findings_do_not_refuse() -> None:
    assert unwaived([finding("n", Severity.ADVICE), finding("p", pending=True)], [], nobody) == ()


# --- laws ------------------------------------------------------------------------------------------------------------

CODES = st.sampled_from(["cap", "dose", "driver", "outside_hours"])
MOMENTS = st.one_of(
    st.none(), st.dates(date(2026, 1, 1), date(2027, 12, 31)), st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1))
)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    code, message, about = draw(CODES), draw(st.sampled_from(["One.", "Two."])), draw(st.sampled_from(["", "L", "R"]))
    if draw(st.booleans()):
        return structural(code, message, earliest=draw(MOMENTS), about=about)
    severity, pending = draw(st.sampled_from(Severity)), draw(st.booleans())
    return Finding(code, severity, message, (), draw(MOMENTS), False, pending, None, draw(st.sampled_from(["", "t"])), about)


WAIVERS = st.lists(
    st.builds(Waiver, st.sampled_from(["cap", "cap:L", "dose", "driver:R", "outside_hours"]), st.just("r"), st.just("t"))
)


@given(st.lists(findings()), st.randoms())
def test_the_order_of_the_rules_does_not_matter(found: list[Finding], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert assess([Says(each) for each in found], FACTS, ON) == assess([Says(each) for each in shuffled], FACTS, ON)
    assert sorted(map(repr, assess([Says(each) for each in found], FACTS, ON))) == sorted(map(repr, found))


@given(st.lists(findings()), findings())
def test_a_blocker_is_never_lost(found: list[Finding], more: Finding) -> None:
    blocker = replace(more, severity=Severity.BLOCKER, pending=False)
    told = assess([Says(each) for each in [*found, blocker]], FACTS, ON)
    assert blocker in told
    assert decision(told).word == "denied"
    assert blocker in unwaived(told, [], anyone)


@given(st.lists(findings()), WAIVERS, st.sets(st.sampled_from(Severity)))
def test_a_waiver_lifts_only_what_it_names_at_a_severity_its_giver_may(
    found: list[Finding], waivers: list[Waiver], allowed: set[Severity]
) -> None:
    standing = unwaived(found, waivers, lambda severity: severity in allowed)
    named = {each.code for each in waivers}
    for each in found:
        is_lifted = each.key in named and each.severity in allowed and not each.structural
        assert (each in standing) == (each.refuses and not is_lifted)


@given(st.lists(findings()), WAIVERS)
def test_structural_findings_stand_whatever_is_waived(found: list[Finding], waivers: list[Waiver]) -> None:
    standing = unwaived(found, waivers, anyone)
    assert all(each in standing for each in found if each.structural)


@given(st.lists(findings()), findings())
def test_one_more_finding_never_makes_a_milder_decision(found: list[Finding], more: Finding) -> None:
    grave = ["allowed", "warn", "denied"]
    assert grave.index(decision([*found, more]).word) >= grave.index(decision(found).word)
