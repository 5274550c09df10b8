from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0013_ask_after_visits")]

    operations = [
        migrations.AlterModelOptions(
            name="message",
            options={
                "permissions": [
                    ("view_messages", "See what was sent"),
                    ("read_patient_messages", "See what was sent to a patient"),
                ]
            },
        ),
    ]
