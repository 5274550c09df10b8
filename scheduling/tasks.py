"""What the clock starts. The rows are the queue: every task looks for what is due, makes one call and may run twice."""

from __future__ import annotations

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from pain_clinic import clock, health
from scheduling import asking, asks, bounces, contacts, courses, free_time, holds, messages, rechecking

TIME_IS_UP = (SoftTimeLimitExceeded,)


@shared_task(name="scheduling.tasks.heartbeat", ignore_result=True)
def heartbeat() -> None:
    """Note that a worker is alive and takes tasks."""
    health.beat("worker")


@shared_task(name="scheduling.tasks.sweep_messages", ignore_result=True)
def sweep_messages() -> None:
    """Send the messages that are due."""
    messages.sweep()
    health.beat("sweep")


@shared_task(name="scheduling.tasks.plan_messages", ignore_result=True)
def plan_messages() -> None:
    """Plan the messages of all cases to come, when the cadence was changed or the last time is long ago."""
    messages.plan_if_wanted(at=clock.now())


@shared_task(name="scheduling.tasks.sweep_holds", ignore_result=True)
def sweep_holds() -> None:
    """Give back what holds that ran out still keep."""
    holds.sweep(at=clock.now())


@shared_task(name="scheduling.tasks.release_blocks", ignore_result=True)
def release_blocks() -> None:
    """Write the dates of blocks anew; searches themselves look at when each is released."""
    free_time.expand_blocks(at=clock.now())


@shared_task(name="scheduling.tasks.extend_free_time", ignore_result=True)
def extend_free_time() -> None:
    """Keep free time written as far ahead as may be booked."""
    free_time.extend(at=clock.now())


@shared_task(name="scheduling.tasks.read_bounces", ignore_result=True)
def read_bounces() -> None:
    """Read what has come back to the bounce mailbox, where there is one."""
    bounces.sweep(at=clock.now())


@shared_task(name="scheduling.tasks.chase_answers", ignore_result=True)
def chase_answers() -> None:
    """Give the desk a call for each question after a visit that nobody answered in time; end contacts that nobody needs."""
    asks.chase(at=clock.now())
    contacts.tidy(at=clock.now())


@shared_task(name="scheduling.tasks.plan_courses", ignore_result=True)
def plan_courses() -> None:
    """Plan the courses about which something changed."""
    courses.sweep(at=clock.now())


@shared_task(name="scheduling.tasks.ask_for_courses", ignore_result=True)
def ask_for_courses() -> None:
    """Lay down the questions for whose answers courses wait."""
    asking.follow(at=clock.now())


@shared_task(name="scheduling.tasks.tell_courses", ignore_result=True)
def tell_courses() -> None:
    """Write to the patients for whom something else comes next."""
    courses.inform(at=clock.now())


@shared_task(name="scheduling.tasks.plan_nights", ignore_result=True)
def plan_nights() -> None:
    """Go on with the night's planning of every course."""
    courses.plan_nights(at=clock.now())


@shared_task(name="scheduling.tasks.find_course_openings", ignore_result=True)
def find_course_openings() -> None:
    """Keep the openings fresh that the worklist offers."""
    courses.refresh(at=clock.now())


@shared_task(name="scheduling.tasks.follow_facts", ignore_result=True)
def follow_facts() -> None:
    """Ask the rules again about the coming cases of everybody about whom a fact has changed."""
    rechecking.follow_changes(at=clock.now(), ended_by=TIME_IS_UP)


@shared_task(name="scheduling.tasks.check_rules", ignore_result=True)
def check_rules() -> None:
    """Ask the rules about every coming case once a night, and when they were changed; go on where the last time stopped."""
    rechecking.check_all(at=clock.now(), ended_by=TIME_IS_UP)
