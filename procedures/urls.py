from django.urls import path

from procedures import views

app_name = "procedures"
urlpatterns = [
    path("settings/procedures/", views.index, name="list"),
    path("settings/procedures/<uuid:public_id>/", views.detail, name="detail"),
    path("settings/procedures/<uuid:public_id>/edit/", views.edit, name="edit"),
    path("settings/procedures/<uuid:public_id>/offered/", views.switch, name="switch"),
]
