from django.urls import path, re_path

from pain_clinic.accounts import views

urlpatterns = [
    path("sign-in/", views.sign_in, name="account_login"),
    path("sign-out/", views.sign_out, name="account_logout"),
    path("account/", views.account, name="account"),
    path("account/password/", views.password, name="account_change_password"),
    path("account/sessions/end/", views.end_sessions, name="account_end_sessions"),
    path("account/tokens/", views.tokens, name="account_tokens"),
    path("account/tokens/<uuid:public_id>/revoke/", views.revoke_token, name="account_revoke_token"),
    path("staff/", views.staff_list, name="staff"),
    path("staff/new/", views.staff_new, name="staff_new"),
    path("staff/<uuid:public_id>/", views.staff_edit, name="staff_edit"),
    path("staff/<uuid:public_id>/password/", views.staff_password, name="staff_password"),
    re_path(r"^staff/(?P<public_id>[0-9a-f-]{36})/(?P<act>disable|enable)/$", views.staff_act, name="staff_act"),
]
