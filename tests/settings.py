"""The settings of the tests: the product's own, with a handful of lines changed."""

import os

os.environ["CLINIC_DATABASE_ROLE"] = "owner"
os.environ.setdefault("CLINIC_MODE", "local")

from pain_clinic.settings import *  # noqa: F403
from pain_clinic.settings import CLINIC_HOME, DATABASES, REST_FRAMEWORK

SECRET_KEY = "tests-only-0123456789-abcdefghijklmnopqrstuvwxyz"
AUDIT_KEY = "tests-audit-0123456789-abcdefghijklmnopqrstuvwxyz"
AUDIT_HEAD_FILE = str(CLINIC_HOME / "tests" / "audit-head.txt")
DATABASES["default"]["TEST"] = {
    "NAME": os.environ.get("TEST_DATABASE_NAME", "test_clinic"),
    "TEMPLATE": os.environ.get("TEST_DATABASE_TEMPLATE") or None,  # migrated once by dev.py, for all layers
}
DATABASES["default"]["CONN_MAX_AGE"] = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = {"anonymous": "100000/min", "staff": "100000/min"}
LOGGING_CONFIG = ""  # the tests read what pytest captures
