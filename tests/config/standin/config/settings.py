"""The least that `up` needs of settings."""

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from config.embedded.environment import adopt

BASE_DIR = Path(__file__).resolve().parent.parent
adopt(os.environ, BASE_DIR)

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
ROOT_URLCONF = "config.urls"
INSTALLED_APPS = ["shop"]
USE_TZ = True
CELERY_BROKER_URL = os.environ["REDIS_URL"]

_url = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _url.path.removeprefix("/"),
        "USER": _url.username,
        "HOST": parse_qs(_url.query)["host"][0],
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}
