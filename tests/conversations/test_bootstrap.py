"""The first administrator, tenant and key: made once, however often `up` is started."""

import io
import json

from django.core.management import call_command

from conversations.models import ApiKey, Tenant
from conversations.services.accounts.api_keys import authenticate, revoke_key


def bootstrap(data_dir):
    """What a start makes, written where `up` writes it."""
    said = io.StringIO()
    call_command("bootstrap", "--json", stdout=said)
    (data_dir / "credentials.json").write_text(said.getvalue())
    return json.loads(said.getvalue())


def test_second_start_leaves_no_second_key(database, data_dir):
    first, second = bootstrap(data_dir), bootstrap(data_dir)

    assert second["api_key"] == first["api_key"]
    assert ApiKey.objects.using("ops").count() == 1
    assert Tenant.objects.using("ops").count() == 1


def test_key_that_was_revoked_is_replaced(database, data_dir):
    first = bootstrap(data_dir)
    tenant = Tenant.objects.using("ops").get()
    key = ApiKey.objects.using("ops").get()
    revoke_key(key_id=key.id)

    second = bootstrap(data_dir)

    assert second["api_key"] != first["api_key"]
    assert authenticate(second["api_key"]).tenant_id == tenant.id
