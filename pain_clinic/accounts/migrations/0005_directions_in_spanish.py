from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_place_of_service"),
    ]

    operations = [
        migrations.AddField(
            model_name="site",
            name="directions_es",
            field=models.TextField(blank=True, max_length=1000),
        ),
    ]
