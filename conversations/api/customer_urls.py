"""Customers below `/api/v1/`. Included after every route that has something behind a customer's id."""

from django.urls import path

from conversations.api import (
    customer_paths,  # noqa: F401  (makes the converter `customer`)
    customers,
)

urlpatterns = [
    path("customers", customers.Customers.as_view()),
    path("customers/<customer:customer_id>/sessions", customers.CustomerSessions.as_view()),
    path("customers/<customer:customer_id>/messages", customers.CustomerMessages.as_view()),
    path("customers/<customer:customer_id>", customers.OneCustomer.as_view()),
]
