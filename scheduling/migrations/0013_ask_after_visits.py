"""Turn on the follow-up mails that stood off until there was a page with their questions; what the clinic changed stays."""

from django.db import migrations


def turn_on(apps, schema_editor):
    steps = apps.get_model("scheduling", "CadenceStep").objects.filter(kind="follow_up", version=1, is_on=False)
    steps.filter(code="score-0d").update(is_on=True, at_time="08:00")
    steps.update(is_on=True)


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0012_asks")]

    # Back again they may stay on: without their page each is left out when it is due.
    operations = [migrations.RunPython(turn_on, migrations.RunPython.noop)]
