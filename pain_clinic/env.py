"""The environment, read in one place: typed, loud, and without defaults for secrets in production."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
LEAST_SECRET = 40
LEAST_DIFFERENT = 12


class Environment:
    """Read settings from the environment and gather every problem, so that one refusal names them all."""

    def __init__(self, source: dict[str, str] | None = None) -> None:
        self.source = dict(os.environ if source is None else source)
        self.problems: list[str] = []
        self.mode = self.source.get("CLINIC_MODE", "local")
        if self.mode not in {"local", "production"}:
            self.problems.append(f"CLINIC_MODE must be local or production, not {self.mode!r}")
            self.mode = "production"
        self.is_production = self.mode == "production"
        self.home = Path(self.source.get("CLINIC_HOME") or ROOT / ".clinic")

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text, from the variable or the file that `NAME_FILE` names; no default means it must be there."""
        value = self.source.get(name)
        path = self.source.get(f"{name}_FILE")
        if value is None and path:
            try:
                value = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                self.problems.append(f"{name}_FILE names a file that cannot be read")
                return default or ""
        if value is None or (value == "" and default is None):
            if default is None:
                self.problems.append(f"{name} is missing")
                return ""
            return default
        return value

    def boolean(self, name: str, default: bool | None = None) -> bool:
        """Return a truth value; anything but a plain yes or no is a problem."""
        value = self.text(name, None if default is None else str(default)).strip().lower()
        if value in TRUE or value in FALSE:
            return value in TRUE
        self.problems.append(f"{name} must be true or false")
        return False

    def integer(self, name: str, default: int | None = None, *, least: int | None = None) -> int:
        """Return a whole number, not below `least`."""
        value = self.text(name, None if default is None else str(default))
        try:
            number = int(value)
        except ValueError:
            self.problems.append(f"{name} must be a whole number")
            return default or 0
        if least is not None and number < least:
            self.problems.append(f"{name} must be at least {least}")
        return number

    def words(self, name: str, default: str | None = "") -> list[str]:
        """Return the comma-separated words of a variable."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def secret(self, name: str) -> str:
        """Return a secret: in production it must be given and strong, locally it is made once under the home."""
        if not self.is_production:
            return self.source.get(name) or self._kept_local_secret(name)
        value = self.text(name)
        if value and self.weakness(value):
            self.problems.append(f"{name} is weak: {self.weakness(value)}")
        return value

    def fallbacks(self, name: str) -> list[str]:
        """Return the older secrets that still verify what they signed; weak ones are a problem in production."""
        values = self.words(name)
        if self.is_production and any(self.weakness(value) for value in values):
            self.problems.append(f"{name} holds a weak secret")
        return values

    @staticmethod
    def weakness(value: str) -> str:
        """Say why a secret is weak, or return an empty text."""
        if len(value) < LEAST_SECRET:
            return f"shorter than {LEAST_SECRET} characters"
        if len(set(value)) < LEAST_DIFFERENT:
            return f"fewer than {LEAST_DIFFERENT} different characters"
        if value.lower().startswith(("django-insecure", "local-only", "changeme", "secret", "password")):
            return "an example value"
        return ""

    def server(self, name: str, default: str | None = None) -> str:
        """Return a server's address; locally, what the starter wrote down serves when nothing is set."""
        if self.source.get(name) or self.source.get(f"{name}_FILE") or self.is_production:
            return self.text(name, default)
        value = self._servers().get(name) or default
        if value is None:
            self.problems.append(
                f"{name} is not set and no local server is running: start with `python3 dev.py run`,"
                " or run commands through `python3 dev.py manage`"
            )
            return ""
        return value

    def check(self) -> None:
        """Refuse to go on when anything is missing, weak or malformed, naming all of it but no value."""
        if self.problems:
            raise ImproperlyConfigured("Pain Clinic cannot start: " + "; ".join(self.problems) + ".")

    def _servers(self) -> dict[str, Any]:
        try:
            found = json.loads((self.home / "servers.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _kept_local_secret(self, name: str) -> str:
        path = self.home / "keys" / name.lower()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(secrets.token_urlsafe(48))
            except FileExistsError:
                pass
            kept = path.read_text(encoding="ascii").strip()
        except OSError:
            self.problems.append(f"{name} cannot be kept: CLINIC_HOME is not writable")
            return ""
        if not kept:
            self.problems.append(f"{name} is empty in CLINIC_HOME/keys: remove the file and start again")
        return kept
