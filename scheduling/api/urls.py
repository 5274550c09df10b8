from django.urls import path

from scheduling.api import rest

urlpatterns = [
    path("courses/", rest.Courses.as_view(), name="api_courses"),
    path("courses/<uuid:public_id>/", rest.OneCourse.as_view(), name="api_course"),
    path("courses/<uuid:public_id>/change/", rest.ChangeCourse.as_view(), name="api_course_change"),
    path("courses/<uuid:public_id>/stop/", rest.StopCourse.as_view(), name="api_course_stop"),
    path("courses/<uuid:public_id>/restart/", rest.RestartCourse.as_view(), name="api_course_restart"),
    path("courses/<uuid:public_id>/snooze/", rest.SnoozeCourse.as_view(), name="api_course_snooze"),
    path("courses/<uuid:public_id>/calls/", rest.CallCourse.as_view(), name="api_course_calls"),
    path("courses/<uuid:public_id>/book/", rest.BookNext.as_view(), name="api_course_book"),
    path("worklist/", rest.Worklist.as_view(), name="api_worklist"),
    path("pathways/", rest.Pathways.as_view(), name="api_pathways"),
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
