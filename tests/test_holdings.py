"""Every table is answered for: by a holding, which an erasure and an export ask, or by a written reason."""

import pytest

from conversations.ports import Target, registry
from conversations.services.holdings import count_records
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, say
from tests.test_catalogue import GLOBAL_TABLES, ask, tables

# Tables of which no holding answers, each with its reason.
EXEMPT = {
    "conversations_apikey": "keys of machines, issued to the tenant's own people",
    "conversations_auditevent": "ids, counts and names of settings; never content, names or external ids",
    "conversations_auditleaf": "hashes of audit events",
    "conversations_importedrecord": "keyed hashes of other systems' ids, and ours: what was erased stays known as imported",
    "conversations_mirrorevent": "ids only; an erasure ends when the stores have followed every one of its case",
    "conversations_staff": "the tenant's own people, not those they speak with",
    "conversations_tombstone": "ids and keyed hashes, so that what was erased cannot come back",
    "retention_auditcheckpoint": "signed roots of the audit trail",
    "retention_erasurecase": "the erasure itself: a pseudonym, ids, counts",
    "retention_erasuretask": "counts by store",
    "retention_legalhold": "evidence of a matter; names a customer by our id only",
    "retention_purgebatch": "counts and hashes",
    "retention_purgedrange": "bounds of ids, counts and hashes",
    "retention_purgerun": "counts and sample ids",
    "retention_retentionpolicy": "decisions of the tenant",
    "retention_tenantremoval": "a decision about the tenant",
}
FRAMEWORK = ("account_", "auth_", "django_", "mfa_", "socialaccount_")


def own_tables():
    return {name for name in tables() if name not in GLOBAL_TABLES and not name.startswith(FRAMEWORK)}


def registered():
    return {table for holding in registry.holdings.values() for table in holding.tables}


def test_every_table_is_registered_or_exempt_with_a_reason(database):
    assert own_tables() - registered() - EXEMPT.keys() == set()


def test_nothing_is_registered_or_exempt_that_is_not_there(database):
    assert (registered() | EXEMPT.keys()) - own_tables() == set()
    assert registered() & EXEMPT.keys() == set()


def test_tables_that_name_a_customer_are_registered_or_say_why(database):
    named = {
        table
        for (table,) in ask(
            "SELECT DISTINCT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'customer_id'"
        )
    }

    assert (named & own_tables()) - registered() == {"retention_erasurecase", "retention_legalhold"}


@pytest.mark.parametrize("name", sorted(registry.holdings))
def test_holding_of_somebody_unknown_is_empty_and_erases_nothing(database, name):
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer_id="ann"), "hello")
    holding = registry.holdings[name]

    with tenant_scope(tenant.id):
        for target in (
            Target(customer_id=tenant.id),
            Target(session_id=tenant.id),
            Target(message_ids=(tenant.id,)),
        ):
            assert count_records(tenant.id, target)[name] == 0
            assert holding.erase(tenant.id, target) == 0


@pytest.mark.parametrize("name", sorted(registry.holdings))
def test_holding_says_what_ends_it(name):
    assert registry.holdings[name].record_class in ("messages", "summaries", "archive")
