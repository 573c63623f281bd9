"""The base of every endpoint under `/api/v1`."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.views import APIView

from conversations.api.authentication import authenticate, require
from conversations.api.operations import operation_of
from conversations.api.problems import answer_failure
from conversations.api.throttling import throttle
from conversations.principals import Principal


class TenantView(APIView):
    """A view for the tenant of the key. Methods are declared by `@operation`; others are denied."""

    http_method_names: ClassVar[list[str]] = ["get", "head", "post", "put", "patch", "delete"]  # type: ignore[misc]

    http: HttpRequest  # Django's own request, whether or not DRF wraps it
    principal: Principal

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.http = request

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.principal = cast(Principal, request.auth)

    @classmethod
    def bypassing_drf(cls, *methods: str) -> Callable[..., HttpResponseBase]:
        """`as_view()`, but these methods bypass DRF's request object and content negotiation.

        The checks, their order and the handler are the same. For the few routes where that time matters.
        """
        shell = cls.as_view()

        @csrf_exempt
        def view(request: HttpRequest, **path: Any) -> HttpResponseBase:
            if request.method not in methods:
                return shell(request, **path)
            served = cls()
            served.http = request
            handler = getattr(served, request.method.lower())
            try:
                served.principal = authenticate(request)
                require(served.principal, operation_of(handler).scope)
                throttle(served.principal)
                return cast(HttpResponseBase, handler(request, **path))
            except Exception as error:  # noqa: BLE001  (as in DRF: every exception becomes a problem response)
                return answer_failure(request, error)

        # What the schema generator looks for.
        view.cls, view.initkwargs = cls, {}  # type: ignore[attr-defined]
        return view
