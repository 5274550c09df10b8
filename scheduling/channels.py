"""The e-mail gateway: hand over one letter, and say plainly what became of it."""

from __future__ import annotations

import contextlib
import smtplib
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, Protocol, TypeVar

from anymail.exceptions import AnymailError, AnymailRecipientsRefused, AnymailRequestsAPIError
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends import smtp
from django.core.validators import validate_email
from django.utils.functional import cached_property

from scheduling.letters import Letter

SMTP_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
OPENING = 8.0  # seconds until the server must have greeted us
ONE_TRY = 12.0  # seconds until it must have taken the mail, greeting included
What = TypeVar("What")


class NotDelivered(Exception):
    """The letter did not leave; the reason is a short code that staff see in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreachable(NotDelivered):
    """The mail server cannot be spoken to; this says nothing about the letter."""


class PutOff(NotDelivered):
    """This letter was not taken now; it may be later."""


class Rejected(NotDelivered):
    """This letter will never be taken."""


class Gateway(Protocol):
    """What takes letters."""

    def send(self, letter: Letter) -> None:
        """Hand over one letter, or raise `NotDelivered`."""

    def close(self) -> None:
        """Let go of the connection."""


class EmailGateway:
    """Send through Django's e-mail backend over one connection, with an end to every try."""

    def __init__(self) -> None:
        self._backend: Any = None
        self._began: float | None = None  # when the connection was begun that no letter has used yet

    def send(self, letter: Letter) -> None:
        mail = as_mail(letter)
        self.open()
        ends = (self._began or time.monotonic()) + ONE_TRY
        self._began = None
        raw = getattr(self._backend, "connection", None)
        if raw is not None:
            raw.deadline = ends
        mail.connection = self._backend
        try:
            mail.send(fail_silently=False)
        except smtplib.SMTPException as error:
            self._drop()
            raise _meaning(error) from error
        except AnymailError as error:
            self._drop()
            raise _meaning_of_provider(error) from error
        except OSError as error:
            self._drop()
            raise PutOff("connection_lost") from error

    def close(self) -> None:
        backend, self._backend = self._backend, None
        if backend is None:
            return
        # The letters are gone; how the server says goodbye does not matter.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            backend.close()

    def open(self) -> None:
        """Connect, unless that is done.

        Raises:
            Unreachable: the server does not answer, or not to us.
        """
        if self._backend is not None:
            return
        chosen = "scheduling.channels.PunctualBackend" if settings.EMAIL_BACKEND == SMTP_BACKEND else settings.EMAIL_BACKEND
        self._began = time.monotonic()
        self._backend = get_connection(backend=chosen, timeout=OPENING)
        try:
            self._backend.open()
        except smtplib.SMTPAuthenticationError as error:
            self._drop()
            raise Unreachable("server_refuses_us") from error
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise Unreachable("server_unreachable") from error

    def _drop(self) -> None:
        """Cut the connection without a word: its state after an error is not to be trusted."""
        backend, self._backend = self._backend, None
        raw = getattr(backend, "connection", None)
        if raw is not None:
            raw.close()
            backend.connection = None


class Crew(Generic[What]):
    """Hands that carry one letter each at a time, so that a server's slow answer to one holds up no other.

    Each has a thread and a connection of its own and touches no database. The first letter waits for its connection, so that
    a server that is away is asked once. A gateway that was handed in carries alone, in the caller's thread.
    """

    def __init__(self, gateway: Gateway | None = None, *, hands: int = 1) -> None:
        self._alone = gateway
        self._hands = 1 if gateway else hands
        self._pool = ThreadPoolExecutor(hands, thread_name_prefix="mail")  # starts a thread when there is work for it
        self._idle: list[EmailGateway] = []
        self._flights: dict[Future[None], What] = {}
        self._is_answered = threading.Event()  # the server has let somebody in, or nobody

    @property
    def flying(self) -> int:
        """Return how many letters are on their way or have landed without being told of."""
        return len(self._flights)

    @property
    def is_full(self) -> bool:
        return self.flying >= self._hands

    def carry(self, letter: Letter, what: What) -> None:
        """Send a letter on its way; `what` comes back with what became of it."""
        if self._alone is None:
            self._flights[self._pool.submit(self._carry, letter)] = what
            self._is_answered.wait()
            return
        done: Future[None] = Future()
        try:
            self._alone.send(letter)
        except Exception as problem:  # noqa: BLE001  told as one that happened in another thread would be
            done.set_exception(problem)
        else:
            done.set_result(None)
        self._flights[done] = what

    def landed(self, *, within: float | None = None) -> list[tuple[What, BaseException | None]]:
        """Return what has landed, and what went wrong with each; wait for a first one, at most so many seconds."""
        done, _ = wait(self._flights, timeout=within, return_when=FIRST_COMPLETED)
        return [(self._flights.pop(flight), flight.exception()) for flight in list(self._flights) if flight in done]

    def close(self) -> None:
        """Let go of the connections once everything has landed."""
        idle, self._idle = self._idle, []
        for gateway in idle:
            self._pool.submit(gateway.close)
        self._pool.shutdown()

    def _carry(self, letter: Letter) -> None:
        try:
            gateway = self._idle.pop()  # the one used last, whose connection is the youngest
        except IndexError:
            gateway = EmailGateway()
        try:
            try:
                gateway.open()
            finally:
                self._is_answered.set()
            gateway.send(letter)
        finally:
            self._idle.append(gateway)


def as_mail(letter: Letter) -> EmailMultiAlternatives:
    """Return the letter as a mail: plain text, HTML, and the calendar file attached.

    Raises:
        Rejected: the address cannot be a single e-mail address.
    """
    try:
        validate_email(letter.to)
    except ValidationError as error:
        raise Rejected("address_invalid") from error
    mail = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.text,
        from_email=letter.sender,
        to=[letter.to],
        reply_to=[letter.reply_to] if letter.reply_to else None,
        headers={
            "Message-ID": letter.message_id,
            "Date": letter.written_at.strftime("%a, %d %b %Y %H:%M:%S +0000"),
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            **_way_out(letter.unsubscribe),
        },
    )
    mail.metadata = {"message": letter.message_id.strip("<>").partition("@")[0]}  # type: ignore[attr-defined]  # a provider gives it back
    mail.attach_alternative(letter.html, "text/html")
    if letter.calendar:
        mail.attach("visit.ics", letter.calendar, f"text/calendar; method={letter.calendar_method}")
    return mail


def _way_out(address: str) -> dict[str, str]:
    """Return the headers by which mail programs offer to end all e-mail (RFC 2369), by one press where it is TLS (RFC 8058).

    The address is the same secret as in the mail: it says nothing, shows a page when it is opened, and acts on POST only.
    """
    if not address:
        return {}
    one_click = {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"} if address.startswith("https://") else {}
    return {"List-Unsubscribe": f"<{address}>", **one_click}


def _meaning_of_provider(error: AnymailError) -> NotDelivered:
    """Say what a provider's answer means for this letter."""
    code = int(getattr(error, "status_code", None) or 0)
    if isinstance(error, AnymailRecipientsRefused):
        return Rejected("address_refused")
    if code in {401, 403}:
        return Unreachable("server_refuses_us")
    if code == 0 and isinstance(error, AnymailRequestsAPIError):
        return PutOff("connection_lost")  # whether it took the mail cannot be known
    if code == 429 or code >= 500:
        return PutOff(f"try_later_{code}")
    return Rejected(f"mail_refused_{code}") if code else PutOff("error")


def _meaning(error: smtplib.SMTPException) -> NotDelivered:
    """Say what the server's answer means for this letter."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = max((answer[0] for answer in error.recipients.values()), default=0)
        return Rejected(f"address_refused_{code}") if code >= 500 else PutOff(f"try_later_{code}")
    if isinstance(error, smtplib.SMTPSenderRefused):
        # Refuses us, not the patient: worth trying again until somebody mends it.
        return PutOff(f"sender_refused_{error.smtp_code}" if error.smtp_code >= 500 else f"try_later_{error.smtp_code}")
    if isinstance(error, smtplib.SMTPResponseException):
        code = error.smtp_code
        return Rejected(f"mail_refused_{code}") if code >= 500 else PutOff(f"try_later_{code}")
    return PutOff("connection_lost")


class _Punctual:
    """Ends a conversation at its deadline, however many answers the server draws out."""

    deadline: float | None = None
    sock: Any
    timeout: Any

    def getreply(self) -> Any:
        self._hurry()
        return super().getreply()  # type: ignore[misc]  # smtplib.SMTP comes after this class

    def send(self, s: Any) -> None:
        self._hurry()
        super().send(s)  # type: ignore[misc]  # as above

    def _hurry(self) -> None:
        if self.deadline is None:
            self.deadline = time.monotonic() + float(self.timeout)
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise smtplib.SMTPServerDisconnected("the server took too long")
        if self.sock is not None:
            self.sock.settimeout(left)


class PunctualSMTP(_Punctual, smtplib.SMTP):
    """SMTP with an end."""


class PunctualSMTPOverTLS(_Punctual, smtplib.SMTP_SSL):
    """SMTP over TLS with an end."""


class PunctualBackend(smtp.EmailBackend):
    """Django's SMTP backend over a conversation that ends in time."""

    @cached_property
    def connection_class(self) -> Any:
        return PunctualSMTPOverTLS if self.use_ssl else PunctualSMTP
