"""Several versions of one row of the rules, of which at most one holds on each date of service."""

import django.contrib.postgres.constraints
from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations, models

import procedures.models


class Migration(migrations.Migration):
    dependencies = [("procedures", "0004_clinic_pathways")]

    operations = [
        BtreeGistExtension(),
        migrations.RemoveConstraint(model_name="rulerow", name="rule_row_once"),
        migrations.AddConstraint(
            model_name="rulerow",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                name="rule_row_once_a_day",
                expressions=[
                    ("table", "="),
                    ("section", "="),
                    ("row_id", "="),
                    (procedures.models.DaysHeld("effective_from", "effective_to", models.Value("[]")), "&&"),
                ],
            ),
        ),
    ]
