"""Which role may do what. `sync_roles` makes the database agree, `docs/permissions.csv` shows it to people."""

from __future__ import annotations

import csv
import io

from django.contrib.auth.models import Group, Permission
from django.db import transaction

ALL_STAFF = ("accounts.view_home", "accounts.use_api", "procedures.view_catalogue")
AUDITOR = ("accounts.view_home", "accounts.view_audit", "patients.review_emergencies")

_DESK = (
    *ALL_STAFF,
    "patients.search_patients",
    "patients.view_patient",
    "patients.register_patient",
    "patients.change_patient",
    "patients.import_patients",
    "patients.view_safety",
    "patients.view_coverage",
    "patients.change_coverage",
    "patients.record_outcome",
    "scheduling.view_board",
    "scheduling.view_appointment",
    "scheduling.book_appointment",
    "scheduling.move_appointment",
    "scheduling.cancel_appointment",
    "scheduling.reinstate_appointment",
    "scheduling.confirm_appointment",
    "scheduling.hold_opening",
    "scheduling.override_warn",
    "scheduling.check_in",
    "scheduling.view_messages",
    "scheduling.read_patient_messages",
    "scheduling.work_tasks",
    "scheduling.view_course",
    "scheduling.work_course",
    "procedures.view_pathways",
    "scheduling.plan_case",
    "scheduling.make_feed",
    "scheduling.import_appointments",
)
_BOOKING = (
    "scheduling.book_appointment",
    "scheduling.move_appointment",
    "scheduling.cancel_appointment",
    "scheduling.reinstate_appointment",
    "scheduling.confirm_appointment",
    "scheduling.hold_opening",
    "scheduling.override_warn",
)
_CARING = (
    "patients.view_history",
    "patients.view_safety",
    "patients.view_coverage",
    "patients.record_clinical",
    "patients.keep_payer_papers",
    "patients.record_performed",
    "patients.record_outcome",
    "patients.break_glass",
    "scheduling.answer_checklist",
    "scheduling.read_patient_messages",
    "scheduling.plan_case",
    "scheduling.work_tasks",
)
_LOOKING = ("patients.search_patients", "patients.view_patient", "scheduling.view_board", "scheduling.view_appointment")

ROLES: dict[str, frozenset[str]] = {
    "desk": frozenset(_DESK),
    "nurse": frozenset(
        {
            *ALL_STAFF,
            *_LOOKING,
            *_CARING,
            "scheduling.view_course",
            "procedures.view_pathways",
            "scheduling.check_in",
            "scheduling.make_feed",
        }
    ),
    "physician": frozenset(
        {
            *ALL_STAFF,
            *_LOOKING,
            *_BOOKING,
            *_CARING,
            "patients.sign_note",
            "patients.print_access_list",
            "scheduling.complete_case",
            "patients.view_outcomes",
            "patients.import_history",
            "procedures.view_rules",
            "procedures.view_pathways",
            "procedures.change_pathways",
            "scheduling.override_deny",
            "scheduling.view_course",
            "scheduling.order_course",
            "scheduling.work_course",
            "scheduling.check_in",
            "scheduling.make_feed",
        }
    ),
    "biller": frozenset(
        {
            *ALL_STAFF,
            *_LOOKING,
            "patients.view_coverage",
            "patients.change_coverage",
            "patients.keep_payer_papers",
            "procedures.view_rules",
            "scheduling.work_tasks",
        }
    ),
    "manager": frozenset(
        {
            *_DESK,
            "scheduling.manage_messages",
            "patients.view_outcomes",
            "patients.import_history",
            "procedures.change_catalogue",
            "procedures.view_rules",
            "procedures.change_rules",
            "scheduling.manage_resources",
            "accounts.view_audit",
            "patients.review_emergencies",
            "patients.print_access_list",
        }
    ),
    "admin": frozenset(
        {
            *ALL_STAFF,
            "accounts.manage_staff",
            "accounts.view_audit",
            "procedures.change_catalogue",
            "procedures.view_rules",
            "scheduling.manage_resources",
        }
    ),
    "auditor": frozenset(AUDITOR),
}
ROLE_NAMES: dict[str, str] = {
    "desk": "Front desk",
    "nurse": "Nurse",
    "physician": "Physician",
    "biller": "Billing",
    "manager": "Manager",
    "admin": "Administrator",
    "auditor": "Auditor",
}
PERMISSIONS: tuple[str, ...] = tuple(sorted(frozenset().union(*ROLES.values())))


def as_csv() -> str:
    """Return the table role x permission, the first part of `docs/permissions.csv`; `matrix` has the second."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["permission", *ROLES])
    for permission in PERMISSIONS:
        table.writerow([permission, *("yes" if permission in ROLES[role] else "no" for role in ROLES)])
    return out.getvalue()


def sync_roles() -> tuple[int, list[str]]:
    """Make groups and their permissions equal to `ROLES`; return how many groups changed and permissions not found."""
    with transaction.atomic():
        rows = Permission.objects.select_related("content_type").order_by("pk")
        known = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
        changed = 0
        for role, permissions in ROLES.items():
            group, created = Group.objects.get_or_create(name=role)
            wanted = {known[permission].pk for permission in permissions if permission in known}
            if created or set(group.permissions.values_list("pk", flat=True)) != wanted:
                group.permissions.set(wanted)
                changed += 1
        return changed, [permission for permission in PERMISSIONS if permission not in known]
