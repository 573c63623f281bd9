"""The theme of the back office, for django-unfold."""

from typing import Any

from django.templatetags.static import static

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Remembrancer",
    "SITE_HEADER": "Remembrancer",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("back_office/mark.svg")}
    ],
    "STYLES": [lambda request: static("back_office/style.css")],
    "SCRIPTS": [lambda request: static("back_office/pages.js")],
    "COLORS": {
        "primary": {
            "50": "#eef5fc",
            "100": "#d9e8f8",
            "200": "#b5d1f1",
            "300": "#86b6f6",
            "400": "#5a97e0",
            "500": "#3a7cc9",
            "600": "#1d5fae",
            "700": "#174c8c",
            "800": "#143d70",
            "900": "#10305a",
            "950": "#0a1f3c",
        },
        # Unfold's own muted text fails the contrast that WCAG asks for on its backgrounds.
        "font": {
            "subtle-light": "var(--color-base-600)",
            "subtle-dark": "var(--color-base-300)",
            "default-light": "var(--color-base-700)",
            "default-dark": "var(--color-base-200)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
}
