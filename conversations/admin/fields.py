"""Form fields that several pages ask for."""

from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError


class ReasonField(forms.CharField):
    """The reason for an act that is recorded in the audit trail."""

    def __init__(self, **kwargs: Any) -> None:
        defaults = {
            "label": "Reason",
            "max_length": 1000,
            "widget": forms.Textarea(attrs={"rows": 2}),
            "error_messages": {"required": "A reason is needed."},
        }
        super().__init__(**{**defaults, **kwargs})


class UuidsField(forms.Field):
    """Ids that were selected on another page, at most `most` of them."""

    widget = forms.MultipleHiddenInput

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(**kwargs)

    def clean(self, value: Any) -> list[UUID]:
        given = list(dict.fromkeys(value or ()))
        if self.required and not given:
            raise ValidationError("Select something first.")
        if len(given) > self.most:
            raise ValidationError(f"{len(given)} are selected; at most {self.most} can be taken at once.")
        try:
            return [UUID(str(one)) for one in given]
        except ValueError:
            raise ValidationError("One of these is not an id.") from None
