"""Which app answers which path, by name only: `config` imports no app."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("", include("conversations.api.public_urls")),
    path("api/v1/", include("conversations.api.urls")),
    path("api/v1/", include("portraits.api.urls")),
    path("api/v1/", include("retention.api.urls")),
    path("api/v1/", include("conversations.api.customer_urls")),  # last: its bare route takes any id
    path("accounts/", include("conversations.staff.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "conversations.api.problems.bad_request"
handler403 = "conversations.api.problems.permission_denied"
handler404 = "conversations.api.problems.page_not_found"
handler500 = "conversations.api.problems.server_error"
