"""What staff may do, and the groups that come with it."""

from collections.abc import Mapping
from enum import StrEnum

from conversations.exceptions import Invalid

APP = "conversations"


class Right(StrEnum):
    """One thing a person may do. Each is a Django permission, so that groups can be changed in the back office."""

    READ = "read"
    REVEAL = "reveal"
    FIND = "find"
    HOLD = "hold"
    POLICY = "policy"
    PURGE = "purge"
    ERASE = "erase"
    EXPORT = "export"
    AUDIT = "audit"
    OPERATE = "operate"
    PEOPLE = "people"

    @property
    def permission(self) -> str:
        """The permission's name for `has_perm`."""
        return f"{APP}.{self.value}"


MEANINGS: Mapping[Right, str] = {
    Right.READ: "Can read conversations, customers and the archive, masked",
    Right.REVEAL: "Can reveal originals, giving a reason",
    Right.FIND: "Can search for a person by an identifier",
    Right.HOLD: "Can place legal holds and release them",
    Right.POLICY: "Can propose and approve retention policies",
    Right.PURGE: "Can run and confirm purges",
    Right.ERASE: "Can erase people and conversations",
    Right.EXPORT: "Can export evidence and everything held about a person",
    Right.AUDIT: "Can read, verify and export the audit trail",
    Right.OPERATE: "Can monitor and repair stores, keys and jobs",
    Right.PEOPLE: "Can manage people, groups and API keys",
}

_RECORDS = (
    *(Right.READ, Right.REVEAL, Right.FIND, Right.HOLD, Right.POLICY),
    *(Right.PURGE, Right.ERASE, Right.EXPORT, Right.AUDIT),
)
GROUPS: Mapping[str, tuple[Right, ...]] = {
    "viewer": (Right.READ,),
    "reviewer": (Right.READ, Right.REVEAL, Right.FIND, Right.HOLD),
    "records manager": _RECORDS,
    "data protection officer": (*_RECORDS, Right.PEOPLE),
    "operator": (Right.AUDIT, Right.OPERATE),
}
_SHORT = {"dpo": "data protection officer"}


def group_named(text: str) -> str:
    """The group that is meant: case, dashes and underscores do not matter. Invalid names those there are."""
    name = " ".join(text.lower().replace("-", " ").replace("_", " ").split())
    name = _SHORT.get(name, name)
    if name not in GROUPS:
        raise Invalid.field("group", f"There is no group {text!r}. Groups: {', '.join(GROUPS)}.")
    return name
