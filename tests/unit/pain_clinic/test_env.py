"""The environment is read loudly: TRUST O7."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from pain_clinic.env import ROOT, Environment

STRONG = "f3J9-kd82_Lq0ZxWv7Tn5Rb1Yc6Hs4Gm8Pa2Ue-KdQzX"
OTHER = "q7Wn-zx45_Rt2MbVc9Lk1Hg8Df6Sa3Po0Iu5Ye-JvBnT"
PRODUCTION = {
    "CLINIC_MODE": "production",
    "SECRET_KEY": STRONG,
    "AUDIT_KEY": OTHER,
    "AUDIT_HEAD_FILE": "/var/lib/clinic/head.txt",
    "ALLOWED_HOSTS": "clinic.example",
    "BASE_URL": "https://clinic.example",
    "DATABASE_URL": "postgres://app@db/clinic",
    "REDIS_URL": "redis://redis:6379/0",
    "EMAIL_URL": "smtp+tls://user:word@mail:587",
    "MAIL_FROM": "clinic@clinic.example",
}


def started(**changes: str | None) -> subprocess.CompletedProcess[str]:
    values = {key: value for key, value in {**PRODUCTION, **changes}.items() if value is not None}
    values["PATH"] = os.environ["PATH"]
    code = "import pain_clinic.settings as s; print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE)"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=values, capture_output=True, text=True, check=False, timeout=60)


def test_production_starts_when_all_is_given_and_uses_host_cookies() -> None:
    done = started()
    assert done.stdout.split() == ["__Host-clinic", "__Host-clinic-csrf", "True"], done.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SECRET_KEY": None}, "SECRET_KEY is missing"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is weak: shorter than 40 characters"),
        ({"SECRET_KEY": "ab" * 30}, "SECRET_KEY is weak: fewer than 12 different characters"),
        ({"SECRET_KEY": "django-insecure-" + STRONG}, "SECRET_KEY is weak: an example value"),
        ({"AUDIT_KEY": None}, "AUDIT_KEY is missing"),
        ({"AUDIT_KEY": STRONG}, "AUDIT_KEY must differ from SECRET_KEY"),
        ({"AUDIT_HEAD_FILE": None}, "AUDIT_HEAD_FILE is missing"),
        ({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS is missing"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS must name the hosts"),
        ({"BASE_URL": "http://clinic.example"}, "BASE_URL must begin with https://"),
        ({"DEBUG": "1"}, "DEBUG is not allowed in production"),
        ({"DEBUG": "perhaps"}, "DEBUG must be true or false"),
        ({"DATABASE_URL": None}, "DATABASE_URL is missing"),
        ({"REDIS_URL": None}, "REDIS_URL is missing"),
        ({"EMAIL_URL": None}, "EMAIL_URL is missing"),
        ({"CLINIC_CLOCK": "/tmp/clock"}, "CLINIC_CLOCK is not allowed in production"),
        ({"CLINIC_MODE": "staging"}, "CLINIC_MODE must be local or production"),
    ],
)
def test_production_refuses_to_start_and_names_what_is_wrong(changes: dict[str, str | None], said: str) -> None:
    done = started(**changes)
    assert done.returncode != 0
    assert said in done.stderr
    assert STRONG not in done.stderr


def test_all_problems_are_named_at_once() -> None:
    done = started(SECRET_KEY=None, ALLOWED_HOSTS=None)
    assert "SECRET_KEY is missing" in done.stderr
    assert "ALLOWED_HOSTS is missing" in done.stderr


def test_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(STRONG + "\n")
    env = Environment({"CLINIC_MODE": "production", "SECRET_KEY_FILE": str(tmp_path / "key")})
    assert (env.secret("SECRET_KEY"), env.problems) == (STRONG, [])
    env = Environment({"CLINIC_MODE": "production", "SECRET_KEY_FILE": str(tmp_path / "none")})
    env.secret("SECRET_KEY")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE names a file that cannot be read"):
        env.check()


def test_local_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first, second = (Environment({"CLINIC_HOME": str(tmp_path)}).secret("SECRET_KEY") for _ in range(2))
    assert first == second
    assert Environment.weakness(first) == ""
    assert (tmp_path / "keys" / "secret_key").stat().st_mode & 0o077 == 0


def test_local_server_address_comes_from_the_starter(tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text('{"DATABASE_URL": "postgres://a@h/d"}')
    env = Environment({"CLINIC_HOME": str(tmp_path)})
    assert env.server("DATABASE_URL") == "postgres://a@h/d"
    env.server("EMAIL_URL")
    with pytest.raises(ImproperlyConfigured, match=r"python3 dev\.py run"):
        env.check()


def test_numbers_and_words_are_typed() -> None:
    env = Environment({"PORT": "80a", "LIST": "a, b,,c"})
    assert env.words("LIST") == ["a", "b", "c"]
    env.integer("PORT", 8000)
    assert env.integer("MISSING", 7) == 7
    env.integer("MISSING", 7, least=9)
    assert env.problems == ["PORT must be a whole number", "MISSING must be at least 9"]
