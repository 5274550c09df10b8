"""What the templates need to draw: times as the site reads them, icons, shapes, forms, the spine and the body."""

from pain_clinic.templatetags.clinic import forms, shapes, spine, times
from pain_clinic.templatetags.clinic.library import register

__all__ = ["forms", "register", "shapes", "spine", "times"]
