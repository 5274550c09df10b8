"""What gunicorn serves. Liveness is answered before Django touches a session or the database."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pain_clinic.settings")
_django = get_wsgi_application()

from pain_clinic.health import live_first  # noqa: E402  # settings must be loaded first

application = live_first(_django)
