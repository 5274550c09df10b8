"""Let every new version of a pathway leave the planner a cause for each patient on it, whoever changed the row.

In the database, as for bookings: neither the physician's page nor the loading of a newer table can forget it.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION scheduling_leave_pathway_causes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO scheduling_plancause (patient_id, kind, at)
    SELECT DISTINCT patient_id, 'pathway', clinic_now() FROM scheduling_course
    WHERE pathway = NEW.code AND NOT (status = 'stopped' AND is_stopped_by_hand) AND NOT is_parked;
    RETURN NULL;
END $$;

CREATE TRIGGER pathway_changed_leaves_plan_causes AFTER UPDATE ON procedures_clinicpathway
    FOR EACH ROW WHEN (OLD.data <> NEW.data OR OLD.is_enabled <> NEW.is_enabled)
    EXECUTE FUNCTION scheduling_leave_pathway_causes();
"""

BACKWARD = """
DROP TRIGGER pathway_changed_leaves_plan_causes ON procedures_clinicpathway;
DROP FUNCTION scheduling_leave_pathway_causes();
"""


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0019_courses_told_and_asked"), ("procedures", "0004_clinic_pathways")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
