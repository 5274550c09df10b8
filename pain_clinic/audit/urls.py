from django.urls import path

from pain_clinic.audit import views

urlpatterns = [
    path("audit/", views.events, name="audit"),
    path("health/ready", views.ready, name="health_ready"),
]
