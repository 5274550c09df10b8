"""What the API takes and gives about histories, who has seen them, and emergencies: plain serializers, no logic."""

from __future__ import annotations

from rest_framework import serializers

from pain_clinic import rest
from patients import access_lists, emergencies, history
from patients.models import EmergencyReason

EVERYTHING = "everything"
NUMBER, NAME = 20, 120


class PagesIn(serializers.Serializer[object]):
    page = serializers.IntegerField(min_value=1, max_value=100_000, required=False, default=1)
    page_size = serializers.IntegerField(min_value=1, max_value=200, required=False)


class HistoryIn(PagesIn):
    """What of a history is asked for. Place and side narrow the timeline and the marked procedures, the span the figures."""

    what = serializers.ChoiceField(
        choices=[(EVERYTHING, "Everything"), *((code, label) for code, label in history.FILTERS.items() if code)],
        required=False, default=EVERYTHING,
    )  # fmt: skip
    at = rest.Text(
        max_length=40, required=False, allow_blank=True, default="", help_text="A place as `targets` name it: L4-L5, knee."
    )
    side = serializers.ChoiceField(
        choices=[("left", "Left"), ("right", "Right"), ("midline", "Midline")], required=False, allow_blank=True, default=""
    )
    span = serializers.ChoiceField(choices=list(history.SPANS.items()), required=False, default=history.USUAL_SPAN)

    def validate_at(self, at: str) -> str:
        if at and not history.is_place(at):
            raise serializers.ValidationError("This is no place: give it as `targets` name it.")
        return at


class HurtOut(serializers.Serializer[object]):
    """One thing that can hurt: `hurts` is on record, `none` was asked in vain, `unknown` was never asked."""

    kind = serializers.CharField()
    name = serializers.CharField(source="label")
    text = serializers.CharField()
    state = serializers.ChoiceField(choices=[("hurts", "On record"), ("none", "Asked, nothing"), ("unknown", "Not asked")])


class ReliefOut(serializers.Serializer[object]):
    """What a session brought: percent at its best after its own day, and how long at least half lasted, in words."""

    percent = serializers.IntegerField(source="pct", allow_null=True)
    lasted = serializers.CharField()
    score_count = serializers.IntegerField()


class TargetOut(serializers.Serializer[object]):
    """A place and side that was treated, with the relief after the last session there."""

    place = serializers.CharField()
    name = serializers.CharField(source="label")
    side = serializers.CharField()
    count = serializers.IntegerField()
    last_on = serializers.DateField()
    relief = ReliefOut()


class ReadingOut(serializers.Serializer[object]):
    """One value on a scale of 0 to 10, 0 is best; the note says that it was asked before or after a procedure."""

    on = serializers.DateField()
    value = serializers.FloatField()
    note = serializers.CharField()


class StepOut(serializers.Serializer[object]):
    """From this day on so many morphine milligram equivalents a day."""

    on = serializers.DateField()
    mme = serializers.FloatField()


class MarkOut(serializers.Serializer[object]):
    """A procedure among the figures. `held_until` is the day on which half of the relief was last, or no longer, there."""

    on = serializers.DateField()
    name = serializers.CharField(source="label")
    category = serializers.CharField()
    family = serializers.CharField()
    percent = serializers.IntegerField(source="pct", allow_null=True)
    held_until = serializers.DateField(allow_null=True)
    is_open = serializers.BooleanField(help_text="The end of the relief is not on record.")


class ReadingsOut(serializers.Serializer[object]):
    """The figures of the span, the earliest first (procedures by date)."""

    first_on = serializers.DateField(source="first")
    last_on = serializers.DateField(source="last")
    pain = ReadingOut(many=True)
    function = ReadingOut(many=True, help_text="PEG")
    opioids = StepOut(many=True)
    procedures = MarkOut(many=True, source="events")


class LedgerOut(serializers.Serializer[object]):
    """A sum over so many months and its limit, if the clinic's tables give one."""

    name = serializers.CharField(source="label")
    months = serializers.IntegerField()
    amount = serializers.FloatField()
    unit = serializers.CharField()
    limit = serializers.FloatField(source="most", allow_null=True)
    is_over = serializers.BooleanField()
    notes = serializers.ListField(child=serializers.CharField())


class TakenOut(serializers.Serializer[object]):
    name = serializers.CharField()
    dose = serializers.CharField()
    why = serializers.CharField()
    since = serializers.DateField(allow_null=True)
    stopped_on = serializers.DateField(allow_null=True)
    is_opioid = serializers.BooleanField()
    is_thinner = serializers.BooleanField()


class PayerOut(serializers.Serializer[object]):
    payer = serializers.CharField(source="label")
    plan = serializers.CharField(source="value")


class AllowanceOut(serializers.Serializer[object]):
    """An authorisation that still matters, with what is left of it, in words."""

    what = serializers.CharField()
    number = serializers.CharField()
    state = serializers.CharField()
    until = serializers.CharField()
    left = serializers.CharField()
    payer = serializers.CharField()


class ComingOut(serializers.Serializer[object]):
    case = serializers.CharField()
    starts_at = serializers.DateTimeField()
    procedure = serializers.CharField()
    where = serializers.CharField()
    status = serializers.CharField()


class CoursePlanOut(serializers.Serializer[object]):
    course = serializers.CharField()
    name = serializers.CharField()
    what = serializers.CharField()
    when = serializers.CharField()
    why = serializers.ListField(child=serializers.CharField())
    is_running = serializers.BooleanField()


class NextOut(serializers.Serializer[object]):
    """What is planned and booked; null is what the asker's role does not see."""

    courses = CoursePlanOut(many=True, source="plans", allow_null=True)
    visits = ComingOut(many=True, source="booked", allow_null=True)


class EntryOut(serializers.Serializer[object]):
    """One line of what happened. `performed` is what was done, or what a score is about."""

    on = serializers.DateField()
    kind = serializers.CharField()
    title = serializers.CharField()
    more = serializers.CharField()
    category = serializers.CharField()
    family = serializers.CharField()
    status = serializers.CharField()
    harm = serializers.CharField()
    relief = ReliefOut(allow_null=True)
    performed = serializers.UUIDField(allow_null=True)
    note = serializers.UUIDField(allow_null=True)
    note_state = serializers.CharField()
    case = serializers.CharField()


class TimelineOut(serializers.Serializer[object]):
    """A page of the timeline, the latest first."""

    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = EntryOut(many=True)


class HistoryOut(serializers.Serializer[object]):
    """The history of a patient, as the physician's page shows it."""

    patient = serializers.UUIDField(source="id")
    name = serializers.CharField(source="page.name")
    birth_date = serializers.DateField(source="page.born")
    age = serializers.IntegerField(source="page.age")
    sex = serializers.CharField(source="page.sex")
    record_number = serializers.CharField(source="page.record_number")
    same_name = serializers.CharField(source="page.same_name")
    died_on = serializers.DateField(source="page.died_on", allow_null=True)
    emergency_until = serializers.DateTimeField(allow_null=True)
    can_hurt = HurtOut(many=True, source="page.chips")
    targets = TargetOut(many=True, source="page.map.targets")
    series = ReadingsOut(source="page.chart")
    ledgers = LedgerOut(many=True, source="page.ledgers")
    medicines = TakenOut(many=True, source="page.medicines")
    past_medicines = TakenOut(many=True, source="page.past_medicines")
    opioids_today = serializers.CharField(source="page.mme")
    coverage = PayerOut(many=True, source="page.coverage")
    authorizations = AllowanceOut(many=True, source="page.allowances")
    next = NextOut(source="page.beyond")
    timeline = TimelineOut()


class AccessIn(PagesIn):
    """From which day to which, both included; a year until today where nothing is said, six years at most."""

    first_on = serializers.DateField(required=False)
    last_on = serializers.DateField(required=False)
    sort = serializers.ChoiceField(choices=[(sort, sort) for sort in access_lists.SORTS], required=False, default="day")


class AccessOut(serializers.Serializer[object]):
    """What somebody did with the record on a day, and how often."""

    on = serializers.DateField()
    who = serializers.CharField()
    what = serializers.CharField()
    count = serializers.IntegerField()


class EmergencyIn(serializers.Serializer[object]):
    """Who it is, exactly, and why."""

    record_number = rest.Text(max_length=NUMBER, required=False, allow_blank=True, default="")
    first_name = rest.Text(max_length=NAME, required=False, allow_blank=True, default="")
    last_name = rest.Text(max_length=NAME, required=False, allow_blank=True, default="")
    birth_date = serializers.DateField(required=False, allow_null=True, default=None)
    reason = serializers.ChoiceField(choices=EmergencyReason.choices)
    text = rest.Text(min_length=emergencies.SHORTEST, max_length=emergencies.LONGEST)


class EmergencyOut(serializers.Serializer[object]):
    """A record opened in an emergency, and until when."""

    id = serializers.UUIDField(source="public_id")
    patient = serializers.UUIDField(source="patient.public_id")
    reason = serializers.CharField()
    opened_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
