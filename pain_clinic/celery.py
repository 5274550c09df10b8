"""Celery: the clock and the hands. The rows are the queue, so every entry is an interval sweep in UTC."""

import os

from celery import Celery
from celery.signals import after_task_publish, setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pain_clinic.settings")

app = Celery("pain_clinic")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


EXPIRY = 6 * 3600.0


def _every(task: str, seconds: float) -> dict[str, object]:
    # What waited in the queue for hours is dropped: a later one does its work. Hours, not the entry's own interval, because
    # the expiry is an instant of beat's clock, read by the worker's: were that a little ahead, it would drop everything.
    return {"task": task, "schedule": seconds, "options": {"expires": EXPIRY}}


app.conf.beat_schedule = {
    "heartbeat": _every("scheduling.tasks.heartbeat", 10.0),
    "sweep-messages": _every("scheduling.tasks.sweep_messages", 5.0),
    "plan-messages": _every("scheduling.tasks.plan_messages", 60.0),
    "sweep-holds": _every("scheduling.tasks.sweep_holds", 30.0),
    "release-blocks": _every("scheduling.tasks.release_blocks", 300.0),
    "extend-free-time": _every("scheduling.tasks.extend_free_time", 3600.0),
    "follow-facts": _every("scheduling.tasks.follow_facts", 15.0),
    "check-rules": _every("scheduling.tasks.check_rules", 60.0),
    "chase-answers": _every("scheduling.tasks.chase_answers", 300.0),
    "plan-courses": _every("scheduling.tasks.plan_courses", 15.0),
    "ask-for-courses": _every("scheduling.tasks.ask_for_courses", 60.0),
    "tell-courses": _every("scheduling.tasks.tell_courses", 60.0),
    "plan-nights": _every("scheduling.tasks.plan_nights", 60.0),
    "find-course-openings": _every("scheduling.tasks.find_course_openings", 30.0),
    "read-bounces": _every("scheduling.tasks.read_bounces", 300.0),
    "seal-audit": _every("pain_clinic.audit.tasks.seal", 10.0),
    "tidy-accounts": _every("pain_clinic.accounts.tasks.tidy", 3600.0),
}
app.conf.beat_scheduler = "celery.beat:Scheduler"


@setup_logging.connect
def _log_as_configured(**_kwargs: object) -> None:
    """Keep Celery from replacing the JSON logging that Django has set up."""


@after_task_publish.connect(sender="scheduling.tasks.heartbeat")
def _beat_lives(**_kwargs: object) -> None:
    """Note that beat has handed its heartbeat to the broker; only beat publishes that task."""
    from pain_clinic.health import beat  # the app registry is not ready when this module is imported

    beat("beat")
