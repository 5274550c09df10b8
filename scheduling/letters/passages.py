"""The passages of which letters consist: the words as shipped, and what they must name.

The English text is also the key of the translation (`locale/LANGUAGE/LC_MESSAGES/django.po`); a further language is a
further file. A clinic's own words stand in their place. ``{name}`` is filled in; nothing else in a text has a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext, override

from pain_clinic.languages import ENGLISH

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
ONE_OCLOCK = re.compile(r"\b(la)s 1:", re.IGNORECASE)  # in Spanish the one hour that is no plural: a la 1:15


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage: where it stands, what it says, and the placeholders that its text has and must keep."""

    key: str
    group: str
    label: str
    text: str

    @property
    def needs(self) -> frozenset[str]:
        return frozenset(PLACEHOLDER.findall(self.text))

    def as_shipped(self, language: str) -> str:
        with override(language):
            return gettext(self.text)

    def is_translated(self, language: str) -> bool:
        return language == ENGLISH or self.as_shipped(language) != self.text


def noop(text: str) -> str:
    """Mark a text for the translators."""
    return text


SUBJECT, OPENING, READY, ACT, CLOSING = "Subjects", "First sentences", "Before the visit", "What to press", "At the end"

_ALL = (
    Passage("subject_confirmation", SUBJECT, "Confirmation", noop("Your visit on {short_day}")),
    Passage("subject_change", SUBJECT, "Change", noop("New time for your visit: {short_day}")),
    Passage("subject_cancellation", SUBJECT, "Cancellation", noop("Your visit on {short_day} is cancelled")),
    Passage("subject_preparation", SUBJECT, "Preparation", noop("How to get ready for your visit on {short_day}")),
    Passage("subject_reminder", SUBJECT, "Reminder", noop("We expect you on {short_day}")),
    Passage("subject_reminder_ask", SUBJECT, "Reminder that asks", noop("Please answer: your visit on {short_day}")),
    Passage("subject_arrival", SUBJECT, "Arrival", noop("Your visit today at {arrival}")),
    Passage("subject_plan_ready", SUBJECT, "Medicine plan ready", noop("Please read before your visit on {short_day}")),
    Passage("subject_follow_up", SUBJECT, "Follow-up score", noop("A short question after your visit")),
    Passage("subject_follow_up_diary", SUBJECT, "Follow-up, several times", noop("Some short questions after your visit")),
    Passage("subject_no_show", SUBJECT, "After a missed visit", noop("We missed you on {short_day}")),
    Passage("subject_recall", SUBJECT, "Recall", noop("Your next visit")),
    Passage("subject_course", SUBJECT, "What comes next", noop("What comes next")),
    Passage("greeting", OPENING, "Greeting", noop("Dear {first_name},")),
    Passage("opening_confirmation", OPENING, "Confirmation", noop("Your visit is booked.")),
    Passage("opening_change", OPENING, "Change",
            noop("Your visit has changed. What follows is what holds now; please disregard what we wrote before.")),
    Passage("changed", OPENING, "What changed", noop("It was: {old_day} at {old_arrival}, {old_place}.")),
    Passage("opening_cancellation", OPENING, "Cancellation",
            noop("Your visit on {day} at {arrival} is cancelled. You do not need to come.")),
    Passage("opening_preparation", OPENING, "Preparation", noop("Your visit is on {day}. This is how to get ready for it.")),
    Passage("opening_reminder", OPENING, "Reminder", noop("We expect you on {day} at {arrival}.")),
    Passage("opening_reminder_ask", OPENING, "Reminder that asks", noop("Your visit is on {day} at {arrival}. Will you come?")),
    Passage("opening_arrival", OPENING, "Arrival", noop("We expect you today at {arrival}.")),
    Passage("opening_plan_ready", OPENING, "Medicine plan ready",
            noop("The plan for your medicines before your visit on {day} is ready.")),
    Passage("opening_follow_up", OPENING, "Follow-up score",
            noop("How are you since your visit on {day}?")),
    Passage("opening_follow_up_diary", OPENING, "Follow-up, several times",
            noop("How are you after your visit? Please tell us several times until tomorrow morning.")),
    Passage("opening_no_show", OPENING, "After a missed visit",
            noop("We expected you on {day} at {arrival}, and we missed you.")),
    Passage("opening_recall", OPENING, "Recall", noop("It is time to think about your next visit with us.")),
    Passage("opening_course", OPENING, "What comes next", noop("There is something new about what comes next for you with us.")),
    Passage("fasting_fatty", READY, "Fasting: heavy meals", noop("Nothing fried, fatty or with meat after {fatty_until}.")),
    Passage("fasting_light", READY, "Fasting: light meals",
            noop("Nothing at all to eat, and no milk, after {light_until}. Coffee or tea with milk counts as a meal.")),
    Passage("fasting_clear", READY, "Fasting: drinks",
            noop("You may drink clear liquids (water, black coffee, tea without milk, juice without pulp) until {clear_until};"
                 " after that, nothing.")),
    Passage("fasting_none", READY, "No fasting", noop("You may eat and drink as usual, unless we told you otherwise.")),
    Passage("driver", READY, "Driver needed",
            noop("Your way home: an adult has to take you home. You must not drive yourself. Please arrange it now.")),
    Passage("driver_unsure", READY, "Driver perhaps needed",
            noop("Your way home: if we told you that somebody should drive you home, please arrange it now."
                 " If you are not sure, call us.")),
    Passage("bring", READY, "What to bring",
            noop("Please bring a photo ID, your insurance card, a list of everything you take, and your glasses or hearing aids"
                 " if you use them.")),
    Passage("medicines", READY, "Medicines",
            noop("Call us about your medicines. Please do not stop or change any of them by yourself.")),
    Passage("medicines_ready", READY, "Medicines, plan ready",
            noop("Your medicine plan is ready: open your visit with the link in this message. Please change nothing that the"
                 " plan does not name.")),
    Passage("diabetes", READY, "Diabetes",
            noop("If you have diabetes, call us some days before: we tell you what to do about food and medicines on the day.")),
    Passage("ask", ACT, "Asks to answer", noop("Please tell us that you will come, or that you cannot:")),
    Passage("manage", ACT, "Offers the visit's page", noop("To say that you will come, to cancel or to ask for another time:")),
    Passage("manage_confirmed", ACT, "Offers the page, confirmed",
            noop("You have told us that you will come. If that changes, or to ask for another time:")),
    Passage("read_plan", ACT, "Reads the plan",
            noop("You can read it here. We ask for your birth date first, so that nobody else can read it:")),
    Passage("answer_score", ACT, "Answers a score", noop("Please answer here, it takes less than a minute:")),
    Passage("answer_diary", ACT, "Answers several times",
            noop("The page names the times. Please open it at each of them; an answer takes a few seconds:")),
    Passage("read_course", ACT, "Reads what comes next",
            noop("You can read here what is planned, and why. We ask for your birth date first, so that nobody else can"
                 " read it:")),
    Passage("button_visit", ACT, "Button: visit", noop("Open my visit")),
    Passage("button_plan", ACT, "Button: plan", noop("Read my plan")),
    Passage("button_score", ACT, "Button: score", noop("Answer now")),
    Passage("button_course", ACT, "Button: what comes next", noop("Read what comes next")),
    Passage("cannot_come", CLOSING, "Cannot come", noop("If you cannot come, please tell us as early as you can.")),
    Passage("late", CLOSING, "Late", noop("If you are late or cannot come, please call us at once.")),
    Passage("cancelled_medicines", CLOSING, "Cancelled: medicines",
            noop("If you have already changed anything to get ready, call us about your medicines.")),
    Passage("cancelled_other", CLOSING, "Cancelled: another day",
            noop("If you would like another day, or if you did not expect this message, please call us.")),
    Passage("call_for_another", CLOSING, "Missed: another day", noop("Please call us, so that we can find another day.")),
    Passage("call_for_next", CLOSING, "Recall: a day", noop("Please call us to find a day that suits you.")),
    Passage("worried", CLOSING, "Worried",
            noop("If you are worried about anything, please do not wait for our answer: call us.")),
    Passage("course_call", CLOSING, "What comes next: no date yet",
            noop("This message gives you no appointment. When a day has to be found, we will call you.")),
    Passage("unsubscribe", CLOSING, "No more e-mail", noop("You do not want e-mail from us any more? Tell us here:")),
)  # fmt: skip
PASSAGES: Mapping[str, Passage] = {each.key: each for each in _ALL}

# Fixed labels and forms, for the translators: not for the clinic to change.
LABELS = (
    noop("Day"), noop("Please arrive at"), noop("You can leave at about"), noop("Place"),
    noop("How to find us"), noop("Telephone"),
    noop("Before you come"), noop("No more e-mail"), noop("Visit: %(place)s"),
    noop("l j F Y"), noop("l j F"),
)  # fmt: skip

OwnWords = Mapping[tuple[str, str], str]


def placeholders_of(text: str) -> frozenset[str]:
    """Return the names of what a text wants filled in."""
    return frozenset(PLACEHOLDER.findall(text))


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put the values in; a name that is not known stays as it was written, and no time of day ends a sentence twice."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text).replace(".m..", ".m.")


def said(key: str, language: str, own: OwnWords, values: Mapping[str, str]) -> str:
    """Return a passage in the clinic's own words, else as shipped in that language; call it with the language active.

    One that has no translation is said in English, there too in the clinic's own words before those shipped.
    """
    shipped = PASSAGES[key].text
    translated = gettext(shipped)
    english = (own.get((key, ENGLISH)) or shipped) if translated == shipped else translated
    text = filled(own.get((key, language)) or english, values)
    return ONE_OCLOCK.sub(r"\1 1:", text) if language == "es" else text
