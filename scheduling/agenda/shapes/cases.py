"""One case and the forms that change it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from scheduling.agenda.shapes.booking import OpeningLine, Who
from scheduling.agenda.shapes.parts import Act, CaseLine, Change, Choice, Line, Pair, Refusal, Wait


@dataclass(frozen=True, slots=True)
class Use:
    what: str
    name: str
    from_: datetime
    to: datetime
    leg: str


@dataclass(frozen=True, slots=True)
class LegLine:
    kind: str
    starts_at: datetime
    ends_at: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class OverrideLine:
    code: str
    message: str
    reason: str
    text: str
    by: str
    at: datetime
    has_ended: bool = False  # the facts have changed since, or the case has moved


@dataclass(frozen=True, slots=True)
class StoryLine:
    at: datetime
    who: str
    act: str
    changes: tuple[Change, ...] = ()
    why: str = ""
    outcome: str = "done"


@dataclass(frozen=True, slots=True)
class MessageLine:
    public_id: UUID
    kind: str
    to: str
    state: str
    at: datetime
    why: str = ""
    resend_url: str = ""
    url: str = ""
    case_url: str = ""
    patient: str = ""
    answers: tuple[str, ...] = ()
    zone: str = ""  # where lines of several zones stand together

    @property
    def state_word(self) -> str:
        return "not sent" if self.state == "skipped" else self.state


@dataclass(frozen=True, slots=True)
class MoveForm:
    action: str
    version: int
    request_key: str
    day: str
    time: str
    later: bool  # the second of two equal hours is meant
    minutes: str
    site: str
    checked: str  # what the button speaks of; posted back, so that later edits are checked again
    physician: tuple[Choice, ...] = ()
    room: tuple[Choice, ...] = ()
    device: tuple[Choice, ...] = ()
    reason: str = ""
    reasons: tuple[Choice, ...] = ()
    preview: OpeningLine | None = None
    lines: tuple[Line, ...] = ()
    button: str = ""
    can_move: bool = False
    nearby: tuple[OpeningLine, ...] = ()
    nearby_title: str = ""
    covered: str = ""  # from when on no rule stands in the way, where that is not the first free time
    uncovered: tuple[Line, ...] = ()
    length: str = ""
    errors: tuple[Pair, ...] = ()
    refusal: Refusal | None = None
    tells_patient: str = ""


@dataclass(frozen=True, slots=True)
class SwapSide:
    """One of two cases that would trade places."""

    patient: str
    title: str
    before: datetime
    after: OpeningLine
    lines: tuple[Line, ...]
    tells: str


@dataclass(frozen=True, slots=True)
class SwapForm:
    action: str
    version: int
    request_key: str
    day: str
    sides: tuple[SwapSide, ...] = ()
    other: str = ""
    other_version: int = 0
    candidates: tuple[CaseLine, ...] = ()
    button: str = ""
    can_swap: bool = False
    errors: tuple[Pair, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class CancelForm:
    action: str
    version: int
    request_key: str
    reasons: tuple[Choice, ...]
    asked_bys: tuple[Choice, ...]
    reason: str = ""
    asked_by: str = ""
    text: str = ""
    is_late: bool = False
    late_note: str = ""
    errors: tuple[Pair, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class ReinstateForm:
    action: str
    version: int
    request_key: str
    lines: tuple[Line, ...] = ()
    can: bool = True
    text: str = ""
    errors: tuple[Pair, ...] = ()
    refusal: Refusal | None = None
    opening: OpeningLine | None = None
    is_old_place: bool = True
    others: tuple[OpeningLine, ...] = ()  # where else it could go, when it cannot have its old place
    covered: str = ""  # from when on no rule stands in the way, where that is not the first free time
    uncovered: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    public_id: UUID
    version: int
    title: str
    status: str
    is_late: bool
    url: str
    print_url: str
    patient_url: str
    board_url: str
    book_again_url: str
    patient: Who
    day: date
    starts_at: datetime
    ends_at: datetime
    arrives_at: datetime
    leaves_at: datetime
    site: str
    zone: str
    procedure: str
    category: str
    family: str
    side: str
    levels: tuple[str, ...]
    sedation: str
    guidance: str
    where: str = ""  # on the body, where no level says it
    role: str = ""  # what it is done for, where somebody has said so
    problem: str = ""  # on record, that the course it was booked from is for
    otherwise: str = ""  # what was done otherwise than booked, for who may know what was done
    uses: tuple[Use, ...] = ()
    legs: tuple[LegLine, ...] = ()
    lines: tuple[Line, ...] = ()
    waits: tuple[Wait, ...] = ()
    overrides: tuple[OverrideLine, ...] = ()
    acts: tuple[Act, ...] = ()
    story: tuple[StoryLine, ...] = ()
    shows_messages: bool = False
    messages: tuple[MessageLine, ...] = ()
    messages_after: tuple[Pair, ...] = ()  # what follows once the visit is over: what, and when
    cancelled: str = ""
    notes: str = ""
    refusal: Refusal | None = None
    ways: tuple[Act, ...] = ()  # beside a refusal: how to go on all the same
    may_open_patient: bool = False
    cover_url: str = ""
    medicines_url: str = ""
    move: MoveForm | None = None
    swap: SwapForm | None = None
    cancel: CancelForm | None = None
    reinstate: ReinstateForm | None = None
