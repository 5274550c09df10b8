"""What staff type about themselves and about each other."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import LoginForm
from django import forms
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from pain_clinic.accounts.models import Site, User
from pain_clinic.accounts.roles import ROLE_NAMES
from pain_clinic.texts import PlainField

ROLE_CHOICES = tuple(ROLE_NAMES.items())


class SignInForm(LoginForm):
    """Name and password; the name without case and surrounding space."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("remember", None)
        self.fields["login"].label = "User name"
        self.fields["login"].max_length = 150
        self.fields["login"].widget.attrs = {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        self.fields["password"].widget.attrs = {"autocomplete": "current-password"}
        self.fields["password"].help_text = ""

    def clean_login(self) -> str:
        return str(self.cleaned_data["login"]).strip().casefold()


class NewPasswordMixin(forms.Form):
    """A new password, typed once and shown on demand; every character counts, spaces included."""

    new_password = forms.CharField(
        label="New password",
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters. A sentence is good; spaces are fine.",
    )

    def check_password(self, user: User) -> None:
        try:
            password_validation.validate_password(self.cleaned_data["new_password"], user)
        except ValidationError as error:
            self.add_error("new_password", error)


class PasswordForm(NewPasswordMixin):
    """Change one's own password."""

    old_password = forms.CharField(
        label="Present password",
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("old_password", "new_password")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "old_password" in cleaned and not self.user.check_password(cleaned["old_password"]):
            self.add_error("old_password", "That is not your present password.")
        if "new_password" in cleaned:
            self.check_password(self.user)
        return cleaned


class TokenForm(forms.Form):
    """Name a new API token."""

    label = PlainField(label="What is it for?", max_length=60)


class StaffForm(forms.Form):
    """Create or change a member of staff."""

    username = forms.CharField(label="User name", max_length=60, validators=User._meta.get_field("username").validators)
    display_name = PlainField(label="Name shown to colleagues", max_length=120)
    roles = forms.MultipleChoiceField(label="Roles", choices=ROLE_CHOICES, widget=forms.CheckboxSelectMultiple)
    sites = forms.ModelMultipleChoiceField(
        label="Sites", queryset=Site.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["sites"].queryset = Site.objects.order_by("name", "pk")  # type: ignore[attr-defined]
        if not is_new:
            del self.fields["username"]

    def clean_username(self) -> str:
        username = str(self.cleaned_data["username"])
        if User.objects.filter(username=username).exists():
            raise ValidationError("Somebody has this name already.", code="username_taken")
        return username
