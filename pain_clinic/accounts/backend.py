"""What a person may, by their roles alone (`roles.py`)."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db import connection

_BY_ROLE = """
SELECT DISTINCT t.app_label || '.' || p.codename
FROM accounts_user_groups u
JOIN auth_group_permissions g ON g.group_id = u.group_id
JOIN auth_permission p ON p.id = g.permission_id
JOIN django_content_type t ON t.id = p.content_type_id
WHERE u.user_id = %s
"""


class RoleBackend(ModelBackend):
    """Sign in by password; roles alone give permissions, read once for each request in one plain statement."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return every permission of this person's roles; none for who is disabled or not signed in."""
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_perm_cache"):
            with connection.cursor() as cursor:
                cursor.execute(_BY_ROLE, [user_obj.pk])
                user_obj._perm_cache = {row[0] for row in cursor.fetchall()}
        known: set[str] = user_obj._perm_cache
        return known
