"""What gunicorn serves. Liveness is answered before Django touches a session or the database."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pain_clinic.settings")
_django = get_wsgi_application()

from django.urls import get_resolver  # noqa: E402  # settings must be loaded first

from pain_clinic.health import live_first  # noqa: E402

# Imports every view before gunicorn forks: otherwise each new worker does that within its first request.
_ = get_resolver().url_patterns
application = live_first(_django)
