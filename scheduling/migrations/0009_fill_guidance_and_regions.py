"""Give cases that were booked before what was then the only choice: the usual guidance and the only region.

Imported history stays without: what was done elsewhere is not known. Backwards there is nothing to do, the columns go.
"""

from django.db import migrations

FILL = """
UPDATE scheduling_appointment AS a
SET guidance = CASE p.guidance_default
        WHEN 'optional_fluoroscopy' THEN 'none'
        WHEN 'ultrasound_with_documented_reason' THEN 'ultrasound'
        ELSE p.guidance_default END,
    regions = CASE WHEN p.level_scheme = '' AND cardinality(p.regions) = 1 AND p.regions[1] NOT IN ('any', 'peripheral')
        THEN p.regions ELSE a.regions END
FROM procedures_procedure AS p
WHERE p.id = a.procedure_id AND a.guidance = '' AND NOT a.is_history
"""


class Migration(migrations.Migration):
    dependencies = [
        ("scheduling", "0008_guidance_and_regions"),
    ]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
