"""Customers below `/api/v1/`. Included after every route that has something behind a customer's id."""

from django.urls import path

from conversations.api import (
    customers,
    path_converters,  # noqa: F401  (registers the converters)
)

urlpatterns = [
    path("customers", customers.Customers.as_view()),
    path("customers/<customer:customer_id>/sessions", customers.CustomerSessions.as_view()),
    path("customers/<customer:customer_id>/messages", customers.CustomerMessages.as_view()),
    path("customers/<customer:customer_id>", customers.OneCustomer.as_view()),
]
