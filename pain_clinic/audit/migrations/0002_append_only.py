"""Let nobody change or remove what the trail holds, and give the database the clinic's clock.

TRUNCATE is left to the grants (`manage.py prepare`): the tests' teardown needs it, the application's role lacks it.
The triggers are plain SQL, not pgtrigger's: those can be told to look away by a setting that any role may set.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER auditevent_append_only BEFORE UPDATE OR DELETE ON audit_auditevent
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER auditseal_append_only BEFORE UPDATE OR DELETE ON audit_auditseal
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();

CREATE FUNCTION clinic_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT clock_timestamp() + coalesce(nullif(current_setting('clinic.clock_offset', true), ''), '0')::interval
$$;
"""

BACKWARD = """
DROP FUNCTION clinic_now();
DROP TRIGGER auditseal_append_only ON audit_auditseal;
DROP TRIGGER auditevent_append_only ON audit_auditevent;
DROP FUNCTION audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
