from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "pain_clinic.audit"
    label = "audit"
    verbose_name = "Audit trail"
