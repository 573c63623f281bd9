"""allauth's forms, in our words."""

from typing import Any

from allauth.account.forms import LoginForm


class SignInForm(LoginForm):
    """Name and password. A lost password is renewed by a colleague, not by mail."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in (("login", "Username"), ("password", "Password")):
            field = self.fields[name]
            field.label, field.help_text = label, ""
            field.widget.attrs.pop("placeholder", None)
