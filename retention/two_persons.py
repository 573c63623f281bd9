"""The two-person rule: who counts as one person."""

from django.conf import settings

from conversations.exceptions import SamePerson
from conversations.principals import Actor


def person(actor: Actor) -> str:
    """The person behind an actor: two keys of one person are one.

    A name that an operator only claims counts with `CLI_SECOND_PERSON`: on one machine nobody else is there.
    """
    return actor.claimed if actor.claimed and settings.CLI_SECOND_PERSON else actor.name


def require_another(actor: Actor, first: str) -> str:
    """The actor's person; SamePerson if that is the one who took the first step."""
    second = person(actor)
    if second.strip().casefold() == first.strip().casefold():
        raise SamePerson("Another person has to do this, not the one who asked for it.")
    return second
