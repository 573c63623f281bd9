"""Every setting of Remembrancer, read from the environment (`.env.example` names each variable).

Nothing here has a permissive default: without SECRET_KEY, MASTER_KEYS and DATABASE_URL the process stops and says so,
unless a running `manage.py up` has left its own in the data folder.
"""

import os
from pathlib import Path
from typing import Any

import environ

from config import celery  # noqa: F401  (the default app of every process that has settings)
from config.back_office import UNFOLD  # noqa: F401
from config.embedded.environment import adopt
from config.environment import Environment, SettingError
from config.logging import configure_logging

BASE_DIR = Path(__file__).resolve().parent.parent

environ.Env.read_env(BASE_DIR / ".env")
adopt(os.environ, BASE_DIR)
env = Environment()

# -- the process ---------------------------------------------------------------------------------------------------

SECRET_KEY = env.str("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / ".data")))
LOG_LEVEL = env.log_level("LOG_LEVEL", default="INFO")

WSGI_APPLICATION = "config.wsgi.application"
# Called in a thread when a web process starts, so that the first requests do not pay for what is loaded on first use.
WARM_UP = "conversations.services.recall.pipeline.warm_up"
ROOT_URLCONF = "config.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
LOGGING_CONFIG = None
configure_logging(level=LOG_LEVEL, json=env.bool("LOG_JSON", default=True))

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "django.contrib.auth",
    "conversations.staff.apps.BackOfficeConfig",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "pgtrigger",
    "rest_framework",
    "django_elasticsearch_dsl",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "conversations",
    "portraits",
    "retention",
]

MIDDLEWARE = [
    "conversations.api.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "conversations.staff.middleware.BackOfficeMiddleware",
]

# The middleware of the API alone (`config.wsgi`): agents have keys, not cookies.
API_MIDDLEWARE = [
    "conversations.api.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(DATA_DIR / "static")))
# `up` serves static files straight from the packages: collecting and compressing 15 MB takes longer than all
# the rest of a first start.
WHITENOISE_USE_FINDERS = env.bool("STATIC_FROM_PACKAGES", default=False)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_MANIFEST_STRICT = False

# -- PostgreSQL: the record ----------------------------------------------------------------------------------------
# One login, three roles (`docs/operations.md`): requests run as `app` under forced row-level security, background work
# as `ops`, migrations as `owner`. Connections persist: a new one per request would cost seven times the request itself.

_database = env.db_url("DATABASE_URL")
if _database["ENGINE"] != "django.db.backends.postgresql":
    raise SettingError("DATABASE_URL does not begin with postgresql://.")
DATABASE_ROLE_PREFIX = env.str("DATABASE_ROLE_PREFIX", default=str(_database["NAME"]))


def _database_as(role: str) -> dict[str, Any]:
    options = {
        "assume_role": f"{DATABASE_ROLE_PREFIX}_{role}",
        "application_name": f"remembrancer-{role}",
        "connect_timeout": 3,
        # Only statements that ask for it are prepared; with None here psycopg would prepare not even those.
        "prepare_threshold": 1_000_000,
        # Milliseconds. A request waits for no lock longer than 2 s and runs no statement longer than 30 s.
        "options": "" if role == "owner" else "-c lock_timeout=2000 -c statement_timeout=30000",
        **_database.get("OPTIONS", {}),
    }
    return {**_database, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False, "OPTIONS": options}


DATABASES = {"default": _database_as("app"), "ops": _database_as("ops"), "owner": _database_as("owner")}

# -- Redis: window, wake-ups, broker; nothing in it is a record ------------------------------------------------------

REDIS_URL = env.server("REDIS_URL", "redis", "rediss", "unix")
BROKER_URL = env.str("BROKER_URL", default=REDIS_URL)
if REDIS_URL:
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.1, "SOCKET_TIMEOUT": 0.1, "IGNORE_EXCEPTIONS": True},
        }
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
SESSION_ENGINE = "django.contrib.sessions.backends.db"
# The longest a session lasts, however active.
SESSION_COOKIE_AGE = int(env.duration("SESSION_COOKIE_AGE", default="8h").total_seconds())
SESSION_IDLE = env.duration("SESSION_IDLE", default="30m")
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("HTTPS_ONLY", default=False)
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
)

WINDOW_SIZE = env.int("WINDOW_SIZE", default=20)
WINDOW_TTL = env.duration("WINDOW_TTL", default="1h")

# -- Elasticsearch -------------------------------------------------------------------------------------------------

ELASTICSEARCH_URL = env.server("ELASTICSEARCH_URL", "http", "https", with_port=True)
ELASTIC_PASSWORD = env.str("ELASTIC_PASSWORD", default="")
ELASTICSEARCH_PREFIX = env.str("ELASTICSEARCH_PREFIX", default="remembrancer")
ELASTICSEARCH_INDEX_SETTINGS = {
    "number_of_shards": env.int("ELASTICSEARCH_SHARDS", default=3),
    "number_of_replicas": env.int("ELASTICSEARCH_REPLICAS", default=1),
    "refresh_interval": env.str("ELASTICSEARCH_REFRESH_INTERVAL", default="1s"),
    "max_result_window": env.int("ELASTICSEARCH_MAX_RESULT_WINDOW", default=10_000),
}
ELASTICSEARCH_DSL = {
    "default": {
        "hosts": ELASTICSEARCH_URL or "http://127.0.0.1:9200",
        "basic_auth": ("elastic", ELASTIC_PASSWORD) if ELASTIC_PASSWORD else None,
        "request_timeout": 10,
        "max_retries": 0,
        "retry_on_timeout": False,
    }
}
# The drain writes; the library's processor would index before commit and swallow failed deletes.
ELASTICSEARCH_DSL_AUTOSYNC = False
ELASTICSEARCH_DSL_SIGNAL_PROCESSOR = "conversations.mirror.signals.WakingSignalProcessor"

# -- Milvus and embeddings -----------------------------------------------------------------------------------------

MILVUS_URI = env.server("MILVUS_URI", "http", "https", "tcp", "unix")
MILVUS_TOKEN = env.str("MILVUS_TOKEN", default="")
# provider:model:dimension[:version]; the first profile is the default one.
EMBEDDING_PROFILES = env.profiles("EMBEDDING_PROFILES", default="wordllama:l2_supercat:256")
EMBEDDING_ENDPOINT = env.str("EMBEDDING_ENDPOINT", default="")
EMBEDDING_API_KEY = env.str("EMBEDDING_API_KEY", default="")
LANGUAGE_MODEL_ENDPOINT = env.str("LANGUAGE_MODEL_ENDPOINT", default="")
LANGUAGE_MODEL_API_KEY = env.str("LANGUAGE_MODEL_API_KEY", default="")
LANGUAGE_MODEL = env.str("LANGUAGE_MODEL", default="")
ALLOW_PRIVATE_ENDPOINTS = env.bool("ALLOW_PRIVATE_ENDPOINTS", default=False)

# -- portraits -----------------------------------------------------------------------------------------------------

# Which agent results become traits and sentiment: None is the table in `portraits/rules.py`.
PORTRAIT_RULES = env.json("PORTRAIT_RULES", default=None)
PORTRAIT_HISTORY = env.int("PORTRAIT_HISTORY", default=100)  # versions kept of each portrait
# How many of a customer's latest messages are learnt from.
PORTRAIT_MESSAGES = env.int("PORTRAIT_MESSAGES", default=500)
LANGUAGE_MODEL_TIMEOUT = env.duration("LANGUAGE_MODEL_TIMEOUT", default="20s").total_seconds()

# -- Celery --------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = BROKER_URL or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_connect_timeout": 1, "max_retries": 1}
CELERY_TIMEZONE = "UTC"
# By default Celery closes every connection before and after each task, and a new one costs more than most tasks do.
# `config.celery` closes those that broke.
CELERY_DB_REUSE_MAX = 2**31
# Each entry only wakes work that is recorded in PostgreSQL: a beat that is missed or doubled changes nothing.
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "drain": {"task": "conversations.drain_mirror", "schedule": 1.0, "options": {"expires": 5}},
    # Learning reads hundreds of a customer's messages: for somebody who keeps writing, every three seconds is enough.
    "portraits": {"task": "portraits.follow", "schedule": 3.0, "options": {"expires": 5}},
    "portrait-texts": {"task": "portraits.describe", "schedule": 5.0, "options": {"expires": 10}},
    "portrait-sweep": {"task": "portraits.sweep", "schedule": 3600.0},
    "partitions": {"task": "conversations.ensure_partitions", "schedule": 3600.0},
    "rotations": {"task": "conversations.finish_rotations", "schedule": 3600.0},
    # Purges each class of each tenant once a day; checking often means that a missed run costs minutes and not a day.
    "purge": {"task": "retention.purge", "schedule": 600.0, "options": {"expires": 600}},
    "erasures": {"task": "retention.follow_erasures", "schedule": 2.0, "options": {"expires": 10}},
    "exports": {"task": "retention.expire_exports", "schedule": 3600.0},
    "evidence": {"task": "retention.export_evidence", "schedule": 60.0, "options": {"expires": 60}},
    "seal-audit": {"task": "retention.seal_audit", "schedule": 5.0, "options": {"expires": 5}},
    # Also finds events of transactions that stayed open for longer than ten minutes.
    "seal-audit-thoroughly": {
        "task": "retention.seal_audit",
        "schedule": 3600.0,
        "kwargs": {"thorough": True},
    },
}

# -- keys ----------------------------------------------------------------------------------------------------------

MASTER_KEYS = env.str("MASTER_KEYS")  # "<id>:<base64 of 32 bytes>[,<older id>:<...>]"; the first one wraps
# As long as backups are kept: a retired key is destroyed only when no backup needs it any more.
KEY_GRACE = env.duration("KEY_GRACE", default="30d")
SIGNING_KEY = env.str("SIGNING_KEY")  # base64 of the 32-byte Ed25519 seed that signs checkpoints and receipts

# -- people --------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "conversations.Staff"
AUTHENTICATION_BACKENDS = ["conversations.staff.backends.StaffBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/admin/"
ACCOUNT_ADAPTER = "conversations.staff.adapter.StaffAdapter"
SOCIALACCOUNT_ADAPTER = "conversations.staff.adapter.StaffSocialAdapter"
ACCOUNT_FORMS = {"login": "conversations.staff.forms.SignInForm"}
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
# Per IP address and per user name: five wrong passwords lock a name for five minutes, wherever they came from.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/300s/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if SECURE_PROXY_SSL_HEADER else 0
MFA_ADAPTER = "conversations.staff.second_factor.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = False
MFA_ALLOW_UNVERIFIED_EMAIL = True  # addresses are entered by colleagues, and nothing is sent to them
# Browsers themselves insist on HTTPS or localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SESSION_COOKIE_SECURE
# One OpenID Connect provider for single sign-on: the URL that /.well-known/openid-configuration is found under.
SSO_URL = env.str("SSO_URL", default="")
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "sso",
                "name": env.str("SSO_NAME", default="single sign-on"),
                "client_id": env.str("SSO_CLIENT_ID", default=""),
                "secret": env.str("SSO_CLIENT_SECRET", default=""),
                "settings": {"server_url": SSO_URL},
            }
        ]
        if SSO_URL
        else [],
    }
}
REQUIRE_MFA = env.bool("REQUIRE_MFA", default=True)
CLI_SECOND_PERSON = env.bool("CLI_SECOND_PERSON", default=False)

# -- API limits (bytes, counts) ------------------------------------------------------------------------------------

MAX_BODY = env.int("MAX_BODY", default=4 * 1024 * 1024)
MAX_CONTENT = env.int("MAX_CONTENT", default=256 * 1024)
MAX_METADATA = env.int("MAX_METADATA", default=64 * 1024)
MAX_DEPTH = env.int("MAX_DEPTH", default=32)
MAX_BATCH = env.int("MAX_BATCH", default=1000)
THROTTLE_RATE = env.rate("THROTTLE_RATE", default="1000/s")
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000  # high enough that our own message says how many rows may be selected
MAX_STREAMS = env.int("MAX_STREAMS", default=32)
PII_REGION = env.str("PII_REGION", default="SG")

# -- retention -----------------------------------------------------------------------------------------------------

POLICY_COOLING = env.duration("POLICY_COOLING", default="7d")
HOLD_GRACE = env.duration("HOLD_GRACE", default="30d")
PURGE_FUSE_FLOOR = env.int("PURGE_FUSE_FLOOR", default=100)
AUDIT_WITNESS = Path(env.str("AUDIT_WITNESS", default=str(DATA_DIR / "witness")))
ERASURE_LEDGER = Path(env.str("ERASURE_LEDGER", default=str(DATA_DIR / "erasures.jsonl")))

# -- DRF, schema, browser ------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["conversations.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["conversations.api.authentication.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["conversations.api.throttling.KeyThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["conversations.api.rendering.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "conversations.api.rendering.JSONAlways",
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "conversations.api.schema.ContractSchema",
    "EXCEPTION_HANDLER": "conversations.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Remembrancer",
    "DESCRIPTION": "Conversation memory for LLM agents: recalled while it may be, gone when it should be.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [],  # msgspec names the components
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'", *([SSO_URL] if SSO_URL else [])],  # browsers apply it to redirects too
        "base-uri": ["'none'"],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
