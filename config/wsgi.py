"""The WSGI application: what granian serves."""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

API = "/api/v1/"


class ApiHandler(WSGIHandler):
    """Django without the layers that only a browser needs: sessions, cookies and pages cost a quarter of an append."""

    def load_middleware(self, is_async: bool = False) -> None:
        every_layer, settings.MIDDLEWARE = settings.MIDDLEWARE, settings.API_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = every_layer


_for_agents, _for_browsers = ApiHandler(), WSGIHandler()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["RAW_PATH_INFO"] = environ["PATH_INFO"]  # Django replaces the bytes that are no text
    handler = _for_agents if path.startswith(API) else _for_browsers
    return handler(environ, start_response)


# Requests are answered meanwhile; a daemon thread, so that it never delays a stop.
threading.Thread(target=import_string(settings.WARM_UP), name="warm-up", daemon=True).start()
