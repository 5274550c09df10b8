from django.urls import path, re_path

from scheduling.views import answers, blocks, book, cases, hooks, hours, mailbox, move, pages, setup, swap

app_name = "scheduling"
urlpatterns = [
    path("", pages.home, name="home"),
    path("board/", pages.board, name="board"),
    path("book/", book.book, name="book"),
    path("appointments/<uuid:public_id>/", cases.appointment, name="appointment"),
    path("appointments/<uuid:public_id>/move/", move.move, name="move"),
    path("appointments/<uuid:public_id>/swap/", swap.swap, name="swap"),
    path("appointments/<uuid:public_id>/cancel/", cases.cancel, name="cancel"),
    path("appointments/<uuid:public_id>/reinstate/", cases.reinstate, name="reinstate"),
    path("appointments/<uuid:public_id>/confirm/", cases.confirm, name="confirm"),
    path("appointments/<uuid:public_id>/status/", cases.status, name="status"),
    path("appointments/<uuid:public_id>/print/", cases.print_case, name="print"),
    path("messages/", pages.message_list, name="messages"),
    path("messages/<uuid:public_id>/resend/", pages.message_resend, name="message_resend"),
    path("findings/", pages.findings, name="findings"),
    path("patients/<uuid:public_id>/upcoming/", pages.patient_upcoming, name="patient_upcoming"),
    path("patients/<uuid:public_id>/messages/", pages.patient_messages, name="patient_messages"),
    path("l/<str:secret>/", answers.link, name="link"),
    path("l/<str:secret>/cancel/", answers.cancel, name="link_cancel"),
    path("l/<str:secret>/another-time/", answers.another_time, name="link_another_time"),
    path("l/<str:secret>/visit.ics", answers.visit_file, name="link_calendar"),
    path("l/<str:secret>/plan/", answers.plan, name="link_plan"),
    path("l/<str:secret>", answers.link),  # a mail program may drop the last slash
    # Whatever else stands under /l/ gets the page of a bad link.
    re_path(r"^l/", answers.no_link, name="no_link"),
    path("hooks/mail/<str:provider>/", hooks.mail_events, name="mail_events"),
    path("mailbox/", mailbox.mailbox, name="mailbox"),
    path("mailbox/<str:name>/", mailbox.mail, name="mail"),
    path("mailbox/<str:name>/html/", mailbox.mail_html, name="mail_html"),
    path("settings/", setup.index, name="settings"),
    path("settings/sites/", setup.sites, name="sites"),
    path("settings/sites/new/", setup.site, name="site_new"),
    path("settings/sites/<uuid:public_id>/", setup.site, name="site"),
    path("settings/resources/", setup.resources, name="resources"),
    path("settings/resources/new/", setup.resource, name="resource_new"),
    path("settings/resources/<uuid:public_id>/", setup.resource, name="resource"),
    path("settings/resources/<uuid:public_id>/hours/", hours.hours, name="hours"),
    path("settings/absences/", hours.absences, name="absences"),
    path("settings/absences/new/", hours.absence_new, name="absence_new"),
    path("settings/absences/<uuid:public_id>/", hours.absence, name="absence"),
    path("settings/blocks/", blocks.blocks, name="blocks"),
    path("settings/blocks/new/", blocks.block, name="block_new"),
    path("settings/blocks/<uuid:public_id>/", blocks.block, name="block"),
]
