"""The routes without a key."""

from django.urls import path

from conversations.api import public, schema_views

urlpatterns = [
    path("healthz", public.healthz),
    path("readyz", public.readyz),
    path("metrics", public.metrics_page),
    path("api/schema", schema_views.schema, name="schema"),
    path("api/docs", schema_views.Documentation.as_view()),
]
