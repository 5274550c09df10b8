from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0017_readiness")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="failures",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
    ]
