from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("procedures", "0002_rule_rows")]

    operations: ClassVar = [
        migrations.AlterModelOptions(
            name="rulerow",
            options={
                "permissions": [
                    ("view_rules", "See the rules and try them on written cases"),
                    ("change_rules", "Change what the rules weigh, when they hold and whether they are on"),
                ]
            },
        ),
    ]
