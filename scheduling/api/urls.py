from django.urls import path

from scheduling.api import rest

urlpatterns = [
    path("sites/", rest.Sites.as_view(), name="api_sites"),
    path("resources/", rest.Resources.as_view(), name="api_resources"),
    path("openings/", rest.Openings.as_view(), name="api_openings"),
    path("holds/", rest.Holds.as_view(), name="api_holds"),
    path("holds/<uuid:public_id>/", rest.OneHold.as_view(), name="api_hold"),
    path("appointments/", rest.Appointments.as_view(), name="api_appointments"),
    path("appointments/<uuid:public_id>/", rest.OneAppointment.as_view(), name="api_appointment"),
    path("appointments/<uuid:public_id>/move/", rest.Move.as_view(), name="api_move"),
    path("appointments/<uuid:public_id>/swap/", rest.Swap.as_view(), name="api_swap"),
    path("appointments/<uuid:public_id>/cancel/", rest.Cancel.as_view(), name="api_cancel"),
    path("appointments/<uuid:public_id>/confirm/", rest.Confirm.as_view(), name="api_confirm"),
    path("appointments/<uuid:public_id>/reinstate/", rest.Reinstate.as_view(), name="api_reinstate"),
    path("appointments/<uuid:public_id>/status/", rest.MoveOn.as_view(), name="api_status"),
]
