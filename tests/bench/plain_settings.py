"""The product's settings without its middleware and what insists on it, for the reference of booking over HTTP."""

from pain_clinic import settings as product
from pain_clinic.settings import *  # noqa: F403

MIDDLEWARE: list[str] = []
INSTALLED_APPS = [name for name in product.INSTALLED_APPS if not name.startswith(("allauth", "axes"))]
ROOT_URLCONF = "tests.bench.plain_booking"
