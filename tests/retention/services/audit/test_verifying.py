"""Tampering as the owner of the database can, one way after the other; each must be named by its row."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from conversations import ids
from conversations.checkpoints import Checkpoint
from conversations.installation import signing_key
from conversations.merkle import Frontier, leaf_hash
from conversations.signing import SigningKey
from retention.audit_leaves import EVENT_SQL, leaf_data, leaf_mac
from retention.services.audit.sealing import leaf_key, origin_of, seal_audit, witness_of
from retention.services.audit.verifying import verify_audit
from tests.builders import make_tenant
from tests.retention.trails import act, checkpoints, forge_event, leaves, make_trail, tamper, tampering


@pytest.fixture(autouse=True)
def witness_folder(settings, tmp_path):
    settings.AUDIT_WITNESS = tmp_path / "witness"
    return settings.AUDIT_WITNESS


@pytest.fixture
def trail(database):
    """A tenant with eleven sealed events in four checkpoints, beside another tenant's; ids by sequence."""
    tenant = make_tenant()
    make_trail(make_tenant("bystander"), 3)
    made = make_trail(tenant, 4, 1, 5)
    return tenant, dict(enumerate(made, 1))


def findings():
    return [(f.kind, f.sequence, f.event_id) for f in verify_audit().findings]


def test_trail_as_it_was_sealed_verifies(trail):
    found = verify_audit()

    assert found.ok
    assert (found.events, found.checkpoints, found.witnessed) == (15, 5, 5)


# -- 1. edited -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'somebody else'",
        "actor_kind = 'system'",
        "action = 'hold.released'",
        "object_id = NULL",
        "object_type = 'other'",
        "outcome = 'denied'",
        "request_id = 'r'",
        "created_at = created_at + interval '1 microsecond'",
        "details = details || '{\"number\": 7}'",
        "details = jsonb_set(details, '{name}', '\"e中\"')",
    ],
)
def test_edited_event_is_named(trail, change):
    _tenant, made = trail

    tamper(f"UPDATE conversations_auditevent SET {change} WHERE id = %s", made[7])

    assert findings() == [("edited", 7, made[7])]


def test_event_edited_together_with_its_leaf_hash_is_named(trail):
    tenant, made = trail

    _edit_with_leaf(tenant, 7, made[7])

    assert findings() == [("edited", 7, made[7])]


# -- 2. deleted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sequence", [1, 6, 11])
def test_deleted_event_is_named(trail, sequence):
    _tenant, made = trail

    tamper("DELETE FROM conversations_auditevent WHERE id = %s", made[sequence])

    assert findings() == [("deleted", sequence, made[sequence])]


def test_event_deleted_with_its_leaf_is_named_by_its_sequence(trail):
    _tenant, made = trail

    _delete_leaf(made[6])
    tamper("DELETE FROM conversations_auditevent WHERE id = %s", made[6])

    assert findings() == [("deleted", 6, None)]


def test_event_deleted_and_all_later_ones_renumbered_is_named(trail):
    tenant, made = trail

    _delete_leaf(made[6])
    tamper("DELETE FROM conversations_auditevent WHERE id = %s", made[6])
    _renumber(tenant, 7, -1)

    assert ("deleted", 6, None) in findings()
    assert {kind for kind, _, _ in findings()} <= {"deleted", "truncated"}


# -- 3. inserted ---------------------------------------------------------------------------------------------------


def test_inserted_event_is_named(trail):
    tenant, _made = trail
    at = ids.now() - timedelta(seconds=30)

    forged = forge_event(tenant, at, ids.new_id(at))

    assert findings() == [("inserted", None, forged)]


def test_inserted_event_with_a_leaf_of_its_own_is_named(trail):
    tenant, _made = trail
    at = ids.now()
    forged = forge_event(tenant, at, ids.new_id(at))
    [event] = _select(f"SELECT {EVENT_SQL} FROM conversations_auditevent e WHERE id = %s", forged)

    _renumber(tenant, 7, 1)
    _insert_leaf(tenant, 7, forged, leaf_hash(leaf_data(str(tenant.id), 7, event)))

    assert ("inserted", 7, forged) in findings()


# -- 4. reordered --------------------------------------------------------------------------------------------------


def test_exchanged_leaves_are_named(trail):
    _tenant, made = trail

    _set_sequence(made[3], -3)
    _set_sequence(made[9], 3)
    _set_sequence(made[3], 9)

    assert findings() == [("reordered", 3, made[9]), ("reordered", 9, made[3])]


def test_neighbours_that_changed_places_are_named(trail):
    _tenant, made = trail

    _set_sequence(made[7], -7)
    _set_sequence(made[8], 7)
    _set_sequence(made[7], 8)

    assert {(kind, event) for kind, _, event in findings()} >= {("reordered", made[7])}
    assert {kind for kind, _, _ in findings()} == {"reordered"}


def test_exchanged_contents_of_leaves_are_named(trail):
    tenant, made = trail
    third, ninth = leaves(tenant)[2], leaves(tenant)[8]

    with tampering(), connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE conversations_auditleaf SET event_id = %s WHERE id = %s", [uuid4(), ninth.id])
        for row, other in ((third, ninth), (ninth, third)):
            cursor.execute(
                "UPDATE conversations_auditleaf SET event_id = %s, leaf_hash = %s WHERE id = %s",
                [other.event_id, other.leaf_hash, row.id],
            )

    assert findings() == [("reordered", 3, made[9]), ("reordered", 9, made[3])]


# -- 5. moved ------------------------------------------------------------------------------------------------------


def test_event_moved_to_another_tenant_is_named_in_both_trails(trail):
    _tenant, made = trail
    other = make_tenant("other")
    seal_audit()

    tamper("UPDATE conversations_auditevent SET tenant_id = %s WHERE id = %s", other.id, made[6])

    found = verify_audit().findings
    assert [(f.kind, f.tenant, f.sequence, f.event_id) for f in found] == [
        ("moved", "acme", 6, made[6]),
        ("moved", "other", None, made[6]),
    ]


def test_event_moved_with_its_leaf_is_named(trail):
    _tenant, made = trail
    other = make_tenant("other")
    make_trail(other, 4)

    tamper("UPDATE conversations_auditevent SET tenant_id = %s WHERE id = %s", other.id, made[6])
    tamper("UPDATE conversations_auditleaf SET tenant_id = %s WHERE event_id = %s", other.id, made[6])

    found = [(f.kind, f.tenant, f.sequence, f.event_id) for f in verify_audit().findings]
    assert found == [("deleted", "acme", 6, None), ("moved", "other", 6, made[6])]


def test_event_moved_to_nobody_is_named(trail):
    _tenant, made = trail

    tamper("UPDATE conversations_auditevent SET tenant_id = %s WHERE id = %s", uuid4(), made[6])

    assert ("moved", 6, made[6]) in findings()


# -- 6. cut tail ---------------------------------------------------------------------------------------------------


def test_tail_cut_from_events_is_named_event_by_event(trail):
    _tenant, made = trail

    tamper("DELETE FROM conversations_auditevent WHERE id = ANY (%s)", [made[10], made[11]])

    assert findings() == [("deleted", 10, made[10]), ("deleted", 11, made[11])]


def test_tail_cut_from_events_and_leaves_is_named(trail):
    _tenant, made = trail

    tamper("DELETE FROM conversations_auditevent WHERE id = ANY (%s)", [made[10], made[11]])
    tamper("DELETE FROM conversations_auditleaf WHERE event_id = ANY (%s)", [made[10], made[11]])

    [finding] = verify_audit().findings
    assert (finding.kind, finding.sequence, finding.checkpoint) == ("truncated", 10, 11)


def test_tail_cut_with_its_checkpoints_is_seen_by_the_witness_alone(trail):
    tenant, _made = trail

    _cut(tenant, 6)

    [finding] = verify_audit().findings
    assert (finding.kind, finding.tenant, finding.sequence, finding.checkpoint) == ("witness", "acme", 7, 11)


def test_checkpoints_cut_from_the_end_are_missed(trail, witness_folder):
    tenant, _ = trail
    witness_of(tenant.id).file.write_text(witness_of(tenant.id).file.read_text().splitlines()[0] + "\n")

    tamper("DELETE FROM retention_auditcheckpoint WHERE tenant_id = %s AND tree_size > 6", tenant.id)

    assert findings() == [("truncated", 7, None)]


# -- 7. checkpoints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "root_hash = decode(repeat('00', 32), 'hex')",
        "frontier = decode(repeat('00', length(frontier)), 'hex')",
        "frontier = ''",
        "signed = replace(signed, 'remembrancer', 'remembrances')",
        "signed = 'no note'",
    ],
)
def test_altered_checkpoint_is_named(trail, change):
    tenant, _ = trail

    tamper(f"UPDATE retention_auditcheckpoint SET {change} WHERE tenant_id = %s AND tree_size = 6", tenant.id)

    [finding] = verify_audit().findings
    assert (finding.kind, finding.tenant, finding.checkpoint) == ("checkpoint", "acme", 6)


def test_checkpoint_signed_with_another_key_is_named(trail):
    tenant, _ = trail
    mallory = SigningKey.from_seed("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
    row = checkpoints(tenant)[2]

    forged = Checkpoint(origin_of(tenant.id), row.tree_size, bytes(row.root_hash)).signed_by(mallory)
    tamper("UPDATE retention_auditcheckpoint SET signed = %s WHERE id = %s", forged, row.id)

    assert [(f.kind, f.checkpoint) for f in verify_audit().findings] == [("checkpoint", 6)]


def test_checkpoint_of_another_tenant_is_named(trail):
    tenant, _ = trail
    other = make_tenant("other")
    make_trail(other, 5)
    [foreign] = checkpoints(other)

    tamper(
        "UPDATE retention_auditcheckpoint SET (root_hash, frontier, signed) = (%s, %s, %s)"
        " WHERE tenant_id = %s AND tree_size = 6",
        foreign.root_hash,
        foreign.frontier,
        foreign.signed,
        tenant.id,
    )

    assert [(f.kind, f.tenant, f.checkpoint) for f in verify_audit().findings] == [("checkpoint", "acme", 6)]


def test_middle_checkpoint_that_is_gone_is_seen_by_the_witness(trail):
    tenant, _ = trail

    tamper("DELETE FROM retention_auditcheckpoint WHERE tenant_id = %s AND tree_size = 6", tenant.id)

    assert [(f.kind, f.checkpoint) for f in verify_audit().findings] == [("witness", 6)]


# -- 8. recomputed -------------------------------------------------------------------------------------------------


def test_tree_recomputed_with_the_installations_own_keys_is_seen_by_the_witness(trail):
    tenant, made = trail
    tamper("UPDATE conversations_auditevent SET actor = 'nobody' WHERE id = %s", made[6])

    _recompute(tenant)

    [finding] = verify_audit().findings
    assert (finding.kind, finding.tenant) == ("witness", "acme")
    assert (finding.sequence, finding.checkpoint) == (6, 6)


def test_recomputed_tree_verifies_where_there_is_no_witness(trail, settings, tmp_path):
    """The counterpart: it is the witness that finds it, and nothing else could."""
    tenant, made = trail
    tamper("UPDATE conversations_auditevent SET actor = 'nobody' WHERE id = %s", made[6])
    _recompute(tenant)

    settings.AUDIT_WITNESS = tmp_path / "elsewhere"

    assert verify_audit().ok


def test_tree_recomputed_after_a_cut_is_seen_by_the_witness_when_it_has_grown_on(trail):
    tenant, _made = trail
    _cut(tenant, 6)
    act(tenant, *"abcdefgh")
    seal_audit()

    found = verify_audit().findings

    assert {f.kind for f in found} == {"witness"}
    assert found[0].checkpoint == 11


# -- the witness itself --------------------------------------------------------------------------------------------


def test_altered_line_of_the_witness_is_named(trail):
    tenant, _ = trail
    file = witness_of(tenant.id).file
    lines = file.read_text().splitlines()
    lines[2] = lines[2].replace("\\n6\\n", "\\n7\\n")
    file.write_text("\n".join(lines) + "\n")

    assert [(f.kind, f.tenant, f.checkpoint) for f in verify_audit().findings] == [("witness", "acme", 7)]


def test_witness_file_that_is_gone_is_named(trail):
    tenant, _ = trail
    witness_of(tenant.id).file.unlink()

    assert [(f.kind, f.tenant, f.checkpoint) for f in verify_audit().findings] == [("witness", "acme", 11)]


# -- the command ---------------------------------------------------------------------------------------------------


def test_command_says_ok_with_status_0(trail, capsys):
    call_command("verify_audit", "--json")

    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["findings"] == []


def test_command_names_the_row_with_status_1(trail, capsys):
    _tenant, made = trail
    tamper("UPDATE conversations_auditevent SET actor = 'x' WHERE id = %s", made[7])

    with pytest.raises(CommandError, match="1 findings"):
        call_command("verify_audit", "--json", "--tenant", "acme")

    expected = {
        "kind": "edited",
        "tenant": "acme",
        "sequence": 7,
        "event_id": str(made[7]),
        "checkpoint": None,
    }
    assert json.loads(capsys.readouterr().out)["findings"] == [expected]


def test_command_for_one_tenant_leaves_out_the_others(trail, capsys):
    _tenant, made = trail
    tamper("UPDATE conversations_auditevent SET actor = 'x' WHERE id = %s", made[7])

    call_command("verify_audit", "--tenant", "bystander")

    assert "4 sealed events" in capsys.readouterr().out


def test_command_refuses_an_unknown_tenant(database):
    with pytest.raises(CommandError, match="There is no tenant"):
        call_command("verify_audit", "--tenant", "nobody")


# -- hands ---------------------------------------------------------------------------------------------------------


def _select(statement: str, *values: object) -> list[tuple]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def _edit_with_leaf(tenant, sequence: int, event_id: UUID) -> None:
    tamper("UPDATE conversations_auditevent SET actor = 'nobody' WHERE id = %s", event_id)
    [event] = _select(f"SELECT {EVENT_SQL} FROM conversations_auditevent e WHERE id = %s", event_id)
    hashed = leaf_hash(leaf_data(str(tenant.id), sequence, event))
    tamper("UPDATE conversations_auditleaf SET leaf_hash = %s WHERE event_id = %s", hashed, event_id)


def _delete_leaf(event_id: UUID) -> None:
    tamper("DELETE FROM conversations_auditleaf WHERE event_id = %s", event_id)


def _insert_leaf(tenant, sequence: int, event_id: UUID, hashed: bytes) -> None:
    tamper(
        "INSERT INTO conversations_auditleaf (id, created_at, tenant_id, sequence, event_id, leaf_hash)"
        " VALUES (gen_random_uuid(), now(), %s, %s, %s, %s)",
        tenant.id,
        sequence,
        event_id,
        hashed,
    )


def _set_sequence(event_id: UUID, sequence: int) -> None:
    tamper("UPDATE conversations_auditleaf SET sequence = %s WHERE event_id = %s", sequence, event_id)


def _renumber(tenant, since: int, by: int) -> None:
    for sign in (-1, 1):  # by way of negative numbers: they are unique
        tamper(
            "UPDATE conversations_auditleaf"
            " SET sequence = CASE WHEN sequence > 0 THEN -(sequence + %s) ELSE -sequence END"
            " WHERE tenant_id = %s AND (sequence >= %s OR sequence < 0)",
            by if sign == -1 else 0,
            tenant.id,
            since if sign == -1 else 10**9,
        )


def _cut(tenant, size: int) -> None:
    gone = [leaf.event_id for leaf in leaves(tenant)[size:]]
    tamper("DELETE FROM conversations_auditevent WHERE id = ANY (%s)", gone)
    tamper("DELETE FROM conversations_auditleaf WHERE event_id = ANY (%s)", gone)
    tamper("DELETE FROM retention_auditcheckpoint WHERE tenant_id = %s AND tree_size > %s", tenant.id, size)


def _recompute(tenant) -> None:
    """What an owner of the database who also holds the signing key would do."""
    frontier, key = Frontier(), signing_key()
    marks = {c.tree_size: c.id for c in checkpoints(tenant)}
    for leaf in leaves(tenant):
        [event] = _select(f"SELECT {EVENT_SQL} FROM conversations_auditevent e WHERE id = %s", leaf.event_id)
        hashed = leaf_hash(leaf_data(str(tenant.id), leaf.sequence, event))
        mac = leaf_mac(leaf_key(), tenant.id.bytes, leaf.sequence, leaf.event_id.bytes, hashed)
        tamper(
            "UPDATE conversations_auditleaf SET id = %s, leaf_hash = %s WHERE event_id = %s",
            UUID(bytes=mac),
            hashed,
            leaf.event_id,
        )
        frontier = frontier.extended([hashed])
        if leaf.sequence in marks:
            signed = Checkpoint(origin_of(tenant.id), frontier.size, frontier.root()).signed_by(key)
            tamper(
                "UPDATE retention_auditcheckpoint SET (root_hash, frontier, signed) = (%s, %s, %s) WHERE id = %s",
                frontier.root(),
                bytes(frontier),
                signed,
                marks[leaf.sequence],
            )
