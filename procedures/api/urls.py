from django.urls import path

from procedures.api import rest

urlpatterns = [
    path("procedures/", rest.Procedures.as_view(), name="api_procedures"),
    path("procedures/<uuid:public_id>/", rest.OneProcedure.as_view(), name="api_procedure"),
]
