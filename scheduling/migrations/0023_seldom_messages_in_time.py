from django.db import migrations, models
from django.db.models.functions import Coalesce


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0022_messages_in_time")]

    operations = [
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                "kind",
                "state",
                Coalesce("done_at", "due_at"),
                "public_id",
                name="message_seldom_in_time",
                condition=models.Q(kind__in=["change", "cancellation", "plan_ready", "no_show", "recall", "course"]),
            ),
        ),
    ]
