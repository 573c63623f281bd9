"""What PostgreSQL itself says about every table: a new one without tenant protection fails here."""

import pytest
from django.db import DatabaseError, connections, transaction

from conversations.exceptions import TenantMissing
from conversations.models import Message, Session, Tenant
from conversations.roles import GLOBAL_APPS
from conversations.tenancy import tenant_scope
from tests.builders import make_session, make_tenant, say

# Tables without a tenant, each with its reason.
GLOBAL_TABLES = {
    "conversations_tenant": "the tenants themselves; a policy of its own shows each only itself",
    "conversations_gate": "whether anybody is served: one row of the installation",
    "conversations_mirrorsink": "which stores are on: settings of the installation",
    "conversations_staff_groups": "who is in which role; Staff itself has policies",
    "conversations_staff_user_permissions": "as above",
    "django_migrations": "the schema's own bookkeeping",
}
# Tables with tenant_id on which `app` has no right at all, so that no policy is needed.
WITHOUT_APP = {"conversations_mirrorevent"}


def ask(statement: str, *values: object) -> list[tuple]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def tables() -> list[str]:
    """Ordinary and partitioned tables, without partitions."""
    return [
        name
        for (name,) in ask(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
            "AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
    ]


def tenant_tables() -> list[str]:
    found = ask(
        "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND column_name = 'tenant_id'"
    )
    return sorted(set(tables()) & {name for (name,) in found} - WITHOUT_APP)


def test_every_table_has_a_tenant_or_a_reason(database):
    prefixes = tuple(
        {
            "auth": "auth_",
            "contenttypes": "django_content",
            "sessions": "django_session",
            "admin": "django_admin",
        }.get(app, f"{app}_")
        for app in GLOBAL_APPS
    )

    unexplained = [
        name
        for name in tables()
        if name not in tenant_tables()
        and name not in GLOBAL_TABLES
        and name not in WITHOUT_APP
        and not name.startswith(prefixes)
    ]

    assert unexplained == []


def test_every_tenant_table_forces_row_level_security(database):
    flags = dict(
        ask(
            "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relkind IN ('r', 'p')"
        )
    )

    assert [name for name in tenant_tables() if not flags[name]] == []


def test_every_tenant_table_has_both_policies(database):
    policies = ask("SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public'")

    missing = [
        (table, policy)
        for table in tenant_tables()
        for policy in ("tenant", "all_tenants")
        if (table, policy) not in policies
    ]
    assert missing == []


def test_every_tenant_table_has_a_key_that_begins_with_the_tenant(database):
    keys = ask(
        "SELECT conrelid::regclass::text, (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]),"
        " array_length(conkey, 1) FROM pg_constraint WHERE contype IN ('p', 'u')"
    )
    with_key = {table for table, first, length in keys if first == "tenant_id" and length == 2}

    assert sorted(set(tenant_tables()) - with_key) == []


def test_no_partition_can_be_reached_around_its_parent(database):
    granted = ask(
        "SELECT c.relname, a.grantee::regrole::text FROM pg_class c, aclexplode(c.relacl) a "
        "WHERE c.relispartition AND a.grantee <> c.relowner AND a.grantee <> 0"
    )

    assert granted == []


def test_no_default_privileges_are_set(database):
    assert ask("SELECT * FROM pg_default_acl") == []


def test_the_request_role_owns_nothing_and_bypasses_nothing(database):
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper, rolbypassrls, (SELECT count(*) FROM pg_class WHERE relowner = r.oid) "
            "FROM pg_roles r WHERE rolname = current_user"
        )
        assert cursor.fetchone() == (False, False, 0)


def test_the_outbox_is_closed_to_requests(database):
    with connections["default"].cursor() as cursor, pytest.raises(DatabaseError, match="permission denied"):
        cursor.execute("SELECT 1 FROM conversations_mirrorevent")


@pytest.mark.parametrize("table", ["conversations_auditevent", "conversations_auditleaf"])
@pytest.mark.parametrize("alias", ["default", "ops", "owner"])
def test_audit_rows_are_never_changed(database, table, alias):
    tenant = make_tenant()

    for statement in (
        f"UPDATE {table} SET tenant_id = tenant_id",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
    ):
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(using=alias),
            connections[alias].cursor() as cursor,
        ):
            cursor.execute(
                "INSERT INTO conversations_auditleaf (id, created_at, tenant_id, sequence, event_id, leaf_hash) "
                "VALUES (gen_random_uuid(), now(), %s, 1, gen_random_uuid(), '')",
                [tenant.id],
            ) if alias != "default" else None
            cursor.execute(statement)


def test_without_a_tenant_there_are_no_rows(database):
    tenant = make_tenant()
    say(tenant, make_session(tenant), "hello")

    with connections["default"].cursor() as cursor:
        for table in tenant_tables():
            try:
                with transaction.atomic():
                    cursor.execute(f"SELECT count(*) FROM {table}")
            except DatabaseError as error:
                assert "permission denied" in str(error)  # noqa: PT017
            else:
                assert cursor.fetchone() == (0,), table


def test_without_a_tenant_the_orm_is_loud(database):
    with pytest.raises(TenantMissing):
        Session.objects.exists()


def test_without_a_tenant_nothing_can_be_written(database):
    tenant = make_tenant()

    with pytest.raises(DatabaseError, match="row-level security"), connections["default"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO conversations_tombstone (id, created_at, tenant_id, kind, object_id, reason) "
            "VALUES (gen_random_uuid(), now(), %s, 'message', gen_random_uuid(), 'deleted')",
            [tenant.id],
        )


def test_a_tenant_sees_only_its_own(database):
    ours, theirs = make_tenant("ours"), make_tenant("theirs")
    say(ours, make_session(ours), "hello")
    say(theirs, make_session(theirs), "hello", "again")

    with tenant_scope(ours.id):
        assert Message.objects.count() == 1
        assert Tenant.objects.count() == 1


def test_the_tenant_is_gone_with_the_transaction(database):
    tenant = make_tenant()

    with tenant_scope(tenant.id):
        pass

    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT current_setting('app.tenant', true)")
        assert cursor.fetchone()[0] in (None, "")


def test_a_scope_of_another_tenant_is_refused_inside_one(database):
    ours, theirs = make_tenant("ours"), make_tenant("theirs")

    with tenant_scope(ours.id), pytest.raises(TenantMissing), tenant_scope(theirs.id):
        pass


def test_a_row_cannot_point_at_another_tenants(database):
    ours, theirs = make_tenant("ours"), make_tenant("theirs")
    foreign = make_session(theirs, customer_id="c")

    with pytest.raises(DatabaseError, match="tenant_fk"), tenant_scope(ours.id):
        mine = make_session(ours)
        Session.objects.filter(id=mine.id).update(customer_id=foreign.customer_id)
