"""One settings file for every place; only the environment differs (`env.py`, `docs/operations.md`).

Past 400 lines: Django reads one module, and a reader looks for a setting in one place.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environ
from csp.constants import NONE, SELF
from whitenoise.compress import Compressor

from pain_clinic.env import Environment
from pain_clinic.logs import configuration as logging_configuration

env = Environment()
BASE_DIR = Path(__file__).resolve().parent.parent
CLINIC_MODE = env.mode
IS_PRODUCTION = env.is_production
CLINIC_HOME = env.home
CLINIC_NAME = env.text("CLINIC_NAME", "Pain Clinic")
CLINIC_CLOCK = env.text("CLINIC_CLOCK", "")
if IS_PRODUCTION and CLINIC_CLOCK:
    env.problems.append("CLINIC_CLOCK is not allowed in production")

# --- secrets and addresses -------------------------------------------------------------------------------------------
SECRET_KEY = env.secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.fallbacks("SECRET_KEY_FALLBACKS")
AUDIT_KEY = env.secret("AUDIT_KEY")
AUDIT_HEAD_FILE = env.text("AUDIT_HEAD_FILE", None if IS_PRODUCTION else str(CLINIC_HOME / "audit-head.txt"))
if IS_PRODUCTION and AUDIT_KEY and AUDIT_KEY == SECRET_KEY:
    env.problems.append("AUDIT_KEY must differ from SECRET_KEY")
DEBUG = env.boolean("DEBUG", default=False)
if IS_PRODUCTION and DEBUG:
    env.problems.append("DEBUG is not allowed in production")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", None if IS_PRODUCTION else "localhost,127.0.0.1,[::1]")
if IS_PRODUCTION and any(host.startswith("*") for host in ALLOWED_HOSTS):
    env.problems.append("ALLOWED_HOSTS must name the hosts, not a wildcard")
BASE_URL = env.text("BASE_URL", None if IS_PRODUCTION else f"http://127.0.0.1:{env.text('PORT', '8000')}").rstrip("/")
if IS_PRODUCTION and BASE_URL and not BASE_URL.startswith("https://"):
    env.problems.append("BASE_URL must begin with https://")
CSRF_TRUSTED_ORIGINS = [BASE_URL] if BASE_URL.startswith("https://") else []
TRUSTED_PROXIES = env.words("TRUSTED_PROXIES", "")

# --- database --------------------------------------------------------------------------------------------------------
DATABASE_ROLE = env.text("CLINIC_DATABASE_ROLE", "app")
IS_OWNER = DATABASE_ROLE == "owner"


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for one PostgreSQL address; a socket folder is percent-encoded in place of the host."""
    if not url:
        return {"ENGINE": "django.db.backends.dummy"}
    parsed: dict[str, Any] = environ.Env.db_url_config(url)
    limits = "-c lock_timeout=2000 -c timezone=UTC" + ("" if IS_OWNER else " -c statement_timeout=5000")
    options = {"connect_timeout": 3, "options": limits, "application_name": f"pain-clinic-{DATABASE_ROLE}"}
    options.update(parsed.get("OPTIONS", {}))
    return {**parsed, "HOST": unquote(parsed["HOST"] or ""), "OPTIONS": options,
            "CONN_MAX_AGE": 300, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}  # fmt: skip


DATABASE_URL = env.server("DATABASE_URL")
DATABASE_OWNER_URL = env.server("DATABASE_OWNER_URL") if IS_OWNER else ""
DATABASES = {"default": database(DATABASE_OWNER_URL if IS_OWNER else DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: Celery's broker and a cache that may fail ----------------------------------------------------------------
REDIS_URL = env.server("REDIS_URL", "memory://" if not IS_PRODUCTION else None)


def cache_address(url: str) -> str:
    """Return the address of the cache database on the broker's Redis, or an empty text when there is no Redis."""
    parts = urlsplit(url)
    if parts.scheme in {"redis+socket", "unix"}:
        return f"unix://{parts.path}?db=1"
    if parts.scheme in {"redis", "rediss"}:
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}/1{query}"
    return ""


CACHES: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if cache_address(REDIS_URL):
    CACHES["default"] = {
        "BACKEND": "pain_clinic.cache.ForgivingRedisCache",
        "LOCATION": cache_address(REDIS_URL),
        "OPTIONS": {"socket_timeout": 0.3, "socket_connect_timeout": 0.3},
        "KEY_PREFIX": "clinic",
    }

# --- e-mail ----------------------------------------------------------------------------------------------------------
EMAIL_URL = env.server("EMAIL_URL", None if IS_PRODUCTION else "consolemail://") or "consolemail://"
# A provider instead of a server: postmark://KEY@ and the like; what stands before the @ are the keys that it gave.
_PROVIDERS = {
    "brevo": ("BREVO_API_KEY",),
    "mailjet": ("MAILJET_API_KEY", "MAILJET_SECRET_KEY"),
    "postmark": ("POSTMARK_SERVER_TOKEN",),
    "sparkpost": ("SPARKPOST_API_KEY",),
}
_provider = urlsplit(EMAIL_URL)
ANYMAIL: dict[str, Any] = {"REQUESTS_TIMEOUT": 12}
if _provider.scheme in _PROVIDERS:
    _keys = [unquote(key) for key in (_provider.username, _provider.password) if key]
    if len(_keys) != len(_PROVIDERS[_provider.scheme]):
        env.problems.append(f"EMAIL_URL needs {len(_PROVIDERS[_provider.scheme])} key(s) before the @ for {_provider.scheme}")
    ANYMAIL.update(zip(_PROVIDERS[_provider.scheme], _keys, strict=False))
    EMAIL_URL = "consolemail://"
_email = environ.Env.email_url_config(EMAIL_URL)
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
if _provider.scheme in _PROVIDERS:
    EMAIL_BACKEND = f"anymail.backends.{_provider.scheme}.EmailBackend"
EMAIL_HOST = _email["EMAIL_HOST"] or ""
EMAIL_PORT = _email["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _email["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = bool(_email.get("EMAIL_USE_TLS"))
EMAIL_USE_SSL = bool(_email.get("EMAIL_USE_SSL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("MAIL_FROM", None if IS_PRODUCTION else "appointments@clinic.example")
# The sender's name tells who is a patient where, so it is the site's name unless the clinic chooses another neutral one.
MAIL_FROM_NAME = env.text("MAIL_FROM_NAME", "")
# Where mails come back: imaps://user:password@host/INBOX or maildir:///path; and the user:password that a provider shows.
BOUNCE_MAILBOX = env.text("BOUNCE_MAILBOX", "")
MAIL_WEBHOOK_SECRET = env.text("MAIL_WEBHOOK_SECRET", "")
if IS_PRODUCTION and MAIL_WEBHOOK_SECRET and env.weakness(MAIL_WEBHOOK_SECRET):
    env.problems.append(f"MAIL_WEBHOOK_SECRET is weak: {env.weakness(MAIL_WEBHOOK_SECRET)}")
MESSAGES_PER_SECOND = env.integer("MESSAGES_PER_SECOND", 10, least=1)
# How many mails one worker process may have on their way at once, each over a connection of its own. A server that takes a
# third of a second for each still takes ten a second; at a kill at most so many are in doubt.
MESSAGES_IN_FLIGHT = env.integer("MESSAGES_IN_FLIGHT", 4, least=1)
QUIET_HOURS = (env.integer("QUIET_HOURS_BEGIN", 20, least=0), env.integer("QUIET_HOURS_END", 8, least=0))

# --- applications ----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "pgtrigger",
    "pghistory",
    "django_htmx",
    "csp",
    "lucide",
    "axes",
    "allauth",
    "allauth.account",
    "phonenumber_field",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pain_clinic.accounts",
    "pain_clinic.audit",
    "procedures",
    "patients",
    "scheduling",
]

MIDDLEWARE = [
    "pain_clinic.health.LivenessMiddleware",
    "pain_clinic.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "pain_clinic.middleware.HeadersMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "pain_clinic.middleware.CleanInputMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "pain_clinic.middleware.SessionLimitsMiddleware",
    "pain_clinic.middleware.SignInRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "pain_clinic.middleware.HistoryMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
]

# Whom the history of a patient asks for cases, messages and courses: the floor of patients knows none of them.
HISTORY_TELLER = "scheduling.storyline.tell"

ROOT_URLCONF = "pain_clinic.urls"
WSGI_APPLICATION = "pain_clinic.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {"clinic": "pain_clinic.templatetags.clinic"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "pain_clinic.web.surroundings",
                "pain_clinic.context.frame",
            ],
        },
    }
]
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- sign-in ---------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "pain_clinic.accounts.backend.RoleBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
     "OPTIONS": {"user_attributes": ("username", "display_name", "email")}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "pain_clinic.accounts.passwords.ClinicPasswordValidator"},
]  # fmt: skip
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "pain_clinic.accounts.adapter.StaffAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {"login": "pain_clinic.accounts.forms.SignInForm"}
ACCOUNT_SESSION_REMEMBER = False
# Failures are counted by axes per user and address; allauth's own limit per address would shut out a whole clinic.
ACCOUNT_RATE_LIMITS = {"login": "120/m/ip", "login_failed": ""}
MFA_REQUIRED_ROLES = env.words("MFA_REQUIRED_ROLES", "")
SIGN_IN_FAILURES = 8
AXES_FAILURE_LIMIT = SIGN_IN_FAILURES
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_FORM_FIELD = "login"
AXES_USERNAME_CALLABLE = "pain_clinic.accounts.adapter.axes_username"
AXES_CLIENT_IP_CALLABLE = "pain_clinic.middleware.client_address"
AXES_LOCKOUT_CALLABLE = "pain_clinic.accounts.views.locked_out"
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False

SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = IS_PRODUCTION
SESSION_COOKIE_NAME = "__Host-clinic" if IS_PRODUCTION else "clinic"
SESSION_IDLE = timedelta(minutes=15)
SESSION_LONGEST = timedelta(hours=12)
CSRF_COOKIE_NAME = "__Host-clinic-csrf" if IS_PRODUCTION else "clinic-csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = IS_PRODUCTION
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_AGE = None
CSRF_FAILURE_VIEW = "pain_clinic.web.csrf_failure"

# --- headers ---------------------------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
# same-origin rather than no-referrer: browsers then send a true Origin with our own forms, which the CSRF check needs.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 63_072_000 if IS_PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_PRODUCTION
SECURE_SSL_REDIRECT = IS_PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^health/"]
# Preloading a domain is the operator's decision, made for the whole domain and hard to undo.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

# --- input limits ----------------------------------------------------------------------------------------------------
LARGEST_BODY = 5 * 1024 * 1024
LARGEST_PAPER = 8 * 1024 * 1024  # one scan
LARGEST_UPLOAD = LARGEST_PAPER + 512 * 1024  # a form with a scan
FILE_UPLOAD_MAX_MEMORY_SIZE = LARGEST_UPLOAD  # a scan is a patient's: it is never put down in a folder for temporary files
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 10
DEEPEST_JSON = 32
REQUEST_KEYS_KEPT = timedelta(hours=24)

# --- REST ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "pain_clinic.rest_rules.TokenAuthentication",
        "pain_clinic.rest_rules.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["pain_clinic.rest_rules.HasStatedPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["pain_clinic.rest_rules.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "pain_clinic.rest_rules.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["pain_clinic.rest_rules.AnonymousThrottle", "pain_clinic.rest_rules.StaffThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "anonymous": env.text("API_RATE_ANONYMOUS", "60/min"),
        "staff": env.text("API_RATE_STAFF", "3000/min"),
    },
    "EXCEPTION_HANDLER": "pain_clinic.rest.problem_for",
    "PAGE_SIZE": 50,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Pain Clinic API",
    "DESCRIPTION": "Booking, patients, procedures and resources of one clinic. Errors are RFC 9457 problem documents.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["pain_clinic.rest_rules.HasStatedPermission"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AppointmentStatus": "scheduling.models.appointments.Status",
        "CourseStatus": "scheduling.models.courses.CourseStatus",
        "GuidanceEnum": "scheduling.models.appointments.Guidance",
        "ResourceKind": "scheduling.models.resources.Kind",
        "TaskKind": "scheduling.models.desk_tasks.TaskKind",
        "TaskOutcome": "scheduling.models.desk_tasks.TaskOutcome",
        "CallOutcome": "scheduling.models.courses.CallOutcome",
        "TaskRole": "scheduling.models.desk_tasks.TaskRole",
        "PlannedRole": "scheduling.models.readiness.PlannedRole",
        "MedicineKind": "patients.models.clinical.MedicineKind",
        "ConditionKind": "patients.models.clinical.ConditionKind",
        "VaccineKind": "patients.models.clinical.VaccineKind",
        "DrugKind": "patients.models.performed.DrugKind",
        "ComplicationKind": "patients.models.performed.ComplicationKind",
        "AllergyGrade": "patients.models.clinical.Grade",
        "AuthorizationStatus": "patients.models.coverage.Decision",
        "SurgeryKind": "patients.models.clinical.SurgeryKind",
        "ComplicationSeverity": "patients.models.performed.ComplicationSeverity",
    },
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SCHEMA_PATH_PREFIX_TRIM": False,
}

# --- row history -----------------------------------------------------------------------------------------------------
PGHISTORY_APPEND_ONLY = True
PGHISTORY_INSTALL_CONTEXT_FUNC_ON_MIGRATE = True

# --- Celery ----------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {"data_folder_in": str(CLINIC_HOME / "queue"), "data_folder_out": str(CLINIC_HOME / "queue")}
    if REDIS_URL.startswith("filesystem")
    else {"socket_timeout": 5, "socket_connect_timeout": 3}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_TIME_LIMIT = 120
CELERY_TASK_SOFT_TIME_LIMIT = 100
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_MAX_TASKS_PER_CHILD = 2000

# --- language, time, files -------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
LOCALE_PATHS = [BASE_DIR / "locale"]  # patients are offered what lies there compiled: `manage.py languages`
LANGUAGES_HELD_BACK = env.words("LANGUAGES_HELD_BACK")  # codes of those that are there and not to be offered yet
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
PHONENUMBER_DEFAULT_REGION = env.text("PHONE_REGION", "US")
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "build" / "collected"
STATICFILES_DIRS = [folder for folder in [BASE_DIR / "build" / "static"] if folder.is_dir()]
WHITENOISE_USE_FINDERS = not IS_PRODUCTION
WHITENOISE_AUTOREFRESH = not IS_PRODUCTION
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")  # maps are half of all, and no browser asks
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if IS_PRODUCTION
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}

LOGGING_CONFIG = "pain_clinic.logs.configure"
LOGGING = logging_configuration(level=env.text("LOG_LEVEL", "INFO"))

env.check()

# --- booking ---------------------------------------------------------------------------------------------------------
BOOKING_HORIZON_DAYS = 365
HOLD_MINUTES = 10
LATE_CANCEL_HOURS = 24
