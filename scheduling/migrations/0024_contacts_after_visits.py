"""Contacts after a visit that somebody makes: a kind of task, each there once for a case."""

from django.db import migrations, models
from django.db.models import Q

KINDS = [
    ("another_time", "Patient asks for another time"), ("mail_failed", "A mail could not be delivered"),
    ("address_bounces", "The e-mail address takes no mail"), ("complained", "Patient marked a mail as unwanted"),
    ("no_email", "No e-mail address: tell the patient by telephone"), ("unconfirmed", "Visit not confirmed"),
    ("missed", "Patient did not come"), ("no_answer", "No answer to the questions after a visit"),
    ("unwell", "Something worries the patient after a visit"), ("follow_up", "Ask how it went after a visit"),
    ("rules", "A rule speaks against a booked case"), ("ask", "Ask the patient"), ("clearance", "Prescriber's clearance"),
    ("lab", "Laboratory result"), ("driver", "Name a driver"), ("consent", "Consent"),
    ("premedication", "Premedication before contrast"), ("plan", "Say what is planned"),
    ("device_plan", "Plan for an implanted device"), ("authorization", "Payer's authorisation"), ("papers", "Papers for the payer"),
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0023_seldom_messages_in_time")]

    operations = [
        migrations.AlterField(
            model_name="desktask", name="kind", field=models.CharField(choices=KINDS, max_length=20)
        ),
        migrations.RemoveConstraint(model_name="desktask", name="desk_task_open_once"),
        migrations.AddConstraint(
            model_name="desktask",
            constraint=models.UniqueConstraint(
                fields=["kind", "patient", "appointment"], name="desk_task_open_once", nulls_distinct=False,
                condition=Q(done_at__isnull=True) & ~Q(kind="follow_up"),
            ),
        ),
        migrations.AddConstraint(
            model_name="desktask",
            constraint=models.UniqueConstraint(
                fields=["appointment", "reason"], name="desk_task_follow_up_once", condition=Q(kind="follow_up")
            ),
        ),
    ]
