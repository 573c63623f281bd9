"""The pages of the core. Loaded by Django's admin when the apps are ready."""

from django.contrib import admin

from conversations.admin.conversations import Conversations
from conversations.admin.home import Home
from conversations.admin.operations import (
    ApiKeys,
    CheckMirrors,
    Operations,
    RetryParked,
    RevokeKey,
)
from conversations.admin.panels import Watch, watches
from conversations.admin.people import Groups, NewPassword, NewPerson, People, Person, RemoveFactors
from conversations.admin.tenants import ChooseTenant
from conversations.admin.watching import watch_mirrors
from conversations.staff.rights import Right

admin.site.home = Home
watches.append(Watch(Right.OPERATE, watch_mirrors))
admin.site.add_pages(
    [
        ("tenant/", ChooseTenant, "tenant"),
        ("conversations/", Conversations, "conversations"),
        ("operations/", Operations, "operations"),
        ("operations/retry/", RetryParked, "retry-parked"),
        ("operations/check/", CheckMirrors, "check-mirrors"),
        ("operations/keys/", ApiKeys, "api-keys"),
        ("operations/keys/<uuid:key_id>/revoke/", RevokeKey, "revoke-key"),
        ("people/", People, "people"),
        ("people/new/", NewPerson, "new-person"),
        ("people/groups/", Groups, "groups"),
        ("people/<uuid:person_id>/", Person, "person"),
        ("people/<uuid:person_id>/password/", NewPassword, "new-password"),
        ("people/<uuid:person_id>/factors/", RemoveFactors, "remove-factors"),
    ]
)
