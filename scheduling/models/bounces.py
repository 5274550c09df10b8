"""Addresses that take no mail, as mail servers and providers reported."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, models
from django.db.models import Q

from scheduling.models.messages import Message


class BounceKind(models.TextChoices):
    BOUNCE = "bounce", "The address takes no mail"
    COMPLAINT = "complaint", "A mail was marked as unwanted"


class MailAddressQuerySet(models.QuerySet["BouncingAddress"]):
    def standing(self) -> MailAddressQuerySet:
        return self.filter(cleared_at=None)

    def kind_of(self, email: str) -> str:
        """Return what stands against mails to this address, or an empty text. Each booking asks: so by a plain statement."""
        if not email.strip():
            return ""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT kind FROM scheduling_bouncingaddress WHERE address = %s AND cleared_at IS NULL", [folded_address(email)]
            )
            found = cursor.fetchone()
        return str(found[0]) if found else ""


class BouncingAddress(models.Model):
    """One address that gets no further mail, and why. Another address on file is another matter: it is not marked."""

    address = models.CharField(max_length=254)
    kind = models.CharField(max_length=10, choices=BounceKind.choices)
    reason = models.CharField(max_length=60)  # a code: the server's status such as 5.1.1, or the provider's word
    message = models.ForeignKey(Message, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    since = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)  # the desk has learned that it works again

    objects = MailAddressQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["address"], name="address_bounces_once", condition=Q(cleared_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} since {self.since:%Y-%m-%d}"

    def clear(self, at: datetime) -> None:
        """Let mails go to this address again."""
        self.cleared_at = at


def folded_address(email: str) -> str:
    """Return an address as addresses are compared."""
    return email.strip().casefold()[:254]


class ReportQuerySet(models.QuerySet["DeliveryReport"]):
    def about(self, message: Message) -> ReportQuerySet:
        return self.filter(message=message).order_by("noted_at", "pk")


class DeliveryReport(models.Model):
    """One report of a mail server or provider that was taken note of; the same report twice is one row."""

    key = models.CharField(max_length=64, unique=True)  # a hash of what makes this report this report
    source = models.CharField(max_length=20)  # mailbox, or the provider
    kind = models.CharField(max_length=10, choices=BounceKind.choices)
    is_final = models.BooleanField()  # the address itself takes no mail, so nothing goes there any more
    reason = models.CharField(max_length=60)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, null=True, blank=True, related_name="delivery_reports")
    noted_at = models.DateTimeField()

    objects = ReportQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.reason}"
