"""JSON logs, one line each, that never hold a name, an address with a secret, or a query string."""

from __future__ import annotations

import logging.config
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_PATHS = re.compile(r"(/(?:l|feeds)/)[^/\s\"'?#]+")
QUERY_STRINGS = re.compile(r"(?<=[\w/*])\?[^\s\"']+")
TOKENS = re.compile(r"(?i)\b(token|bearer|basic)\s+[\w.~+/=-]{8,}")
MAIL_ADDRESSES = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


def masked(text: str) -> str:
    """Return the text without link secrets, query strings, credentials and mail addresses."""
    text = SECRET_PATHS.sub(r"\1***", text)
    text = QUERY_STRINGS.sub("?***", text)
    text = TOKENS.sub(r"\1 ***", text)
    return MAIL_ADDRESSES.sub("***@***", text)


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask every text of a log line, however deep."""
    return {key: _deep(value) for key, value in event.items()}


def _deep(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: _deep(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_deep(inner) for inner in value]
    return value if isinstance(value, int | float | bool | type(None)) else masked(str(value))


def traces_without_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace exceptions by their type and the places passed through; their messages may quote a patient's data."""
    found = event.pop("exc_info", None)
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__module__}.{type(error).__qualname__}"
        places, trace = [], error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        event["trace"] = places[-25:]
        event["sqlstate"] = str(getattr(error.__cause__, "pgcode", None) or "")
    return event


def without_objects(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop what Django hands along with a record: the request itself must never be printed."""
    record = event.get("_record")
    if record is not None and record.name.startswith("django.request"):
        # The message holds the path; the route name is in the access line already.
        event["event"] = f"response {getattr(record, 'status_code', '')}".strip()
    for key in ("request", "server_time"):
        event.pop(key, None)
    return event


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configuration(*, level: str) -> dict[str, Any]:
    """Return the logging configuration for `LOGGING`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [
                    without_objects,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    traces_without_values,
                    mask,
                    structlog.processors.JSONRenderer(),
                ],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": False},
            "django.db.backends": {"level": "WARNING"},
            "axes": {"level": "ERROR"},
            "kombu": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
        },
    }


def configure(settings: dict[str, Any]) -> None:
    """Set up the standard library's logging and structlog on top of it."""
    logging.config.dictConfig(settings)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
