"""The pages behind links in mails: a patient answers without an account. Looking never acts; a button does."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from scheduling import answers
from scheduling.models import LinkPurpose
from scheduling.views.answers.drawing import page
from scheduling.views.answers.marks import offers
from scheduling.views.answers.opening import MOST_WRONG, WINDOW, Opened, behind_link, no_link
from scheduling.views.answers.pressing import ACTS, press, score, unsubscribe
from scheduling.views.answers.proving import ask_for_proof, is_proven, prove

__all__ = ["MOST_WRONG", "WINDOW", "another_time", "cancel", "link", "no_link", "plan", "visit_file"]


@behind_link(LinkPurpose.VISIT, LinkPurpose.UNSUBSCRIBE, LinkPurpose.SCORE, LinkPurpose.COURSE)
def link(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Show what the link is for; a press on one of its buttons acts."""
    if opened.link.purpose == LinkPurpose.UNSUBSCRIBE:
        return unsubscribe(request, opened)
    if opened.link.purpose == LinkPurpose.SCORE:
        return score(request, opened)
    if opened.link.purpose == LinkPurpose.COURSE:
        return _personal(request, opened)
    if request.method != "POST":
        return page(request, opened, "visit")
    act = ACTS.get(request.POST.get("act", ""))
    if act is None:
        return page(request, opened, "visit", status=422)
    return press(request, opened, act)


@behind_link(LinkPurpose.VISIT, may_post=False)
def cancel(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Ask once more before a visit is cancelled."""
    return page(request, opened, "cancel")


@behind_link(LinkPurpose.VISIT, may_post=False)
def another_time(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Offer other times that are free and allowed, and the telephone."""
    return page(request, opened, "another_time", offers=offers(opened))


@behind_link(LinkPurpose.VISIT, may_post=False)
def visit_file(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Give the visit as a file for the patient's calendar."""
    response = HttpResponse(answers.calendar_of(opened.link, opened.at), content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="visit.ics"'
    return response


@behind_link(LinkPurpose.VISIT, LinkPurpose.COURSE)
def plan(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Show what is personal, the medicine plan or what comes next, to who knows the patient's birth date."""
    return _personal(request, opened)


def _personal(request: HttpRequest, opened: Opened) -> HttpResponse:
    if request.method == "POST":
        return prove(request, opened)
    is_of_course = opened.link.purpose == LinkPurpose.COURSE
    if is_proven(request, opened.link):
        if is_of_course:
            return page(request, opened, "course", told=answers.upcoming(opened.link, opened.at))
        plan_lines = answers.medicine_plan(opened.link, opened.at)
        return page(request, opened, "plan", plan=plan_lines)
    return ask_for_proof(request, opened)
