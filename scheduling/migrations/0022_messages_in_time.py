from django.db import migrations, models
from django.db.models.functions import Coalesce


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0021_series")]

    operations = [
        migrations.AddIndex(
            model_name="message",
            index=models.Index("state", Coalesce("done_at", "due_at"), "public_id", name="message_in_time"),
        ),
    ]
