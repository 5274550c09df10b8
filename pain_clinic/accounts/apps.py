from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "pain_clinic.accounts"
    label = "accounts"
    verbose_name = "Staff"
