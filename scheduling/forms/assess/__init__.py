"""A case put together by form: its fields, its parts, and the way to the written case and back."""

from scheduling.forms.assess.filling import AssessForm

__all__ = ["AssessForm"]
