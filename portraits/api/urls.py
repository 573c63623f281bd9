"""The portraits' routes below `/api/v1/`."""

from django.urls import path

from conversations.api import path_converters  # noqa: F401  (registers the converters)
from conversations.api.queries import query_routes
from conversations.filters import Kind
from portraits.api import portraits, preferences, summaries
from portraits.api.shapes import InteractionSummaryOut

urlpatterns = [
    *query_routes(Kind.SUMMARIES, InteractionSummaryOut),
    path("customers/<customer:customer_id>/portrait", portraits.OnePortrait.as_view()),
    path("customers/<customer:customer_id>/portrait/history", portraits.PortraitHistory.as_view()),
    path("customers/<customer:customer_id>/preferences", preferences.Preferences.as_view()),
    path("customers/<customer:customer_id>/preferences/<path:key>", preferences.OnePreference.as_view()),
    path("customers/<customer:customer_id>/summary", summaries.OneSummary.as_view()),
]
