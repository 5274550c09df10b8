"""Let every booking, move, cancellation, missed visit and return of a patient with a course leave the planner a cause.

In the database, so that no verb can forget it and none pays a statement for it. A verb that changes a case holds the
patient's row; starting a course takes it, too: a booking either sees the course here or is seen by its first planning.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION scheduling_leave_plan_cause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO scheduling_plancause (patient_id, appointment_id, kind, at)
    SELECT NEW.patient_id, NEW.id, 'booking', clinic_now()
    WHERE EXISTS (SELECT 1 FROM scheduling_course WHERE patient_id = NEW.patient_id);
    RETURN NULL;
END $$;

CREATE TRIGGER appointment_made_leaves_plan_cause AFTER INSERT ON scheduling_appointment
    FOR EACH ROW WHEN (NOT NEW.is_history) EXECUTE FUNCTION scheduling_leave_plan_cause();
CREATE TRIGGER appointment_changed_leaves_plan_cause AFTER UPDATE ON scheduling_appointment
    FOR EACH ROW WHEN (
        OLD.local_date <> NEW.local_date OR OLD.procedure_id <> NEW.procedure_id OR OLD.side <> NEW.side
        OR OLD.levels <> NEW.levels
        OR (OLD.status IN ('cancelled', 'no_show', 'left_before_seen'))
            <> (NEW.status IN ('cancelled', 'no_show', 'left_before_seen'))
    ) EXECUTE FUNCTION scheduling_leave_plan_cause();
"""

BACKWARD = """
DROP TRIGGER appointment_changed_leaves_plan_cause ON scheduling_appointment;
DROP TRIGGER appointment_made_leaves_plan_cause ON scheduling_appointment;
DROP FUNCTION scheduling_leave_plan_cause();
"""


class Migration(migrations.Migration):
    dependencies = [("scheduling", "0015_courses")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
