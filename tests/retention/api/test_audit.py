from base64 import b64decode
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import msgspec
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from conversations import merkle
from conversations.checkpoints import Checkpoint
from conversations.models import AuditEvent
from conversations.signing import PublicKey
from retention.services.audit.sealing import seal_audit
from tests.retention.trails import tamper


@pytest.fixture(autouse=True)
def witness_folder(settings, tmp_path):
    settings.AUDIT_WITNESS = tmp_path / "witness"


def place_holds(caller, count):
    for number in range(count):
        body = {"matter": f"Case {number}", "reason": "A claim."}
        assert caller("POST", "/holds", body).status_code == 201


def events(caller, query=""):
    listed = caller("GET", f"/audit-events{query}")
    assert listed.status_code == 200, listed.content
    return listed.json()["data"]


def test_event_is_shown_as_the_contract_says(alice):
    place_holds(alice, 1)
    before = events(alice, "?action=hold.placed")
    seal_audit()

    [event] = events(alice, "?action=hold.placed")

    assert before[0] | {"sequence": None, "leaf_hash": None} == before[0]
    assert event["object"] == "audit_event"
    assert (event["actor"], event["action"], event["object_type"]) == ("alice", "hold.placed", "legal_hold")
    assert event["outcome"] == "ok"
    assert event["sequence"] >= 1
    assert event["details"] == {"customer": None, "session": None, "start_time": None, "end_time": None}
    assert event["request_id"]


def test_leaf_hash_follows_from_what_the_client_is_shown(alice):
    place_holds(alice, 1)
    seal_audit()
    [event] = events(alice, "?action=hold.placed")

    shown = {name: value for name, value in event.items() if name not in ("leaf_hash", "created_at")}
    leaf = rfc8785.dumps(shown | {"tenant": str(alice.tenant_id)})

    assert sha256(b"\x00" + leaf).hexdigest() == event["leaf_hash"]


def test_events_are_filtered(alice, bob):
    place_holds(alice, 2)
    place_holds(bob, 1)
    seal_audit()
    hold = events(alice, "?action=hold.placed&actor=bob")[0]

    assert len(events(alice, "?action=hold.placed")) == 3
    assert len(events(alice, "?actor=alice&action=hold.placed")) == 2
    assert [e["id"] for e in events(alice, f"?object_id={hold['object_id']}")] == [hold["id"]]
    assert events(alice, "?outcome=denied") == []
    assert {e["object_type"] for e in events(alice, "?object_type=legal_hold")} == {"legal_hold"}


def test_span_is_half_open_to_the_microsecond(alice):
    place_holds(alice, 3)
    _, second, first = (e["at"] for e in events(alice, "?action=hold.placed"))

    def actions(start, end):
        return [e["at"] for e in events(alice, f"?action=hold.placed&start_time={start}&end_time={end}")]

    assert actions(first, second) == [first]
    assert actions(first, _later(second)) == [second, first]
    assert actions(_later(first), second) == []


def test_list_is_paged_by_key(alice):
    place_holds(alice, 5)
    whole = [e["id"] for e in events(alice, "?action=hold.placed")]

    first = alice("GET", "/audit-events?action=hold.placed&limit=2").json()
    second = alice("GET", f"/audit-events?action=hold.placed&limit=2&after={first['last_id']}").json()
    oldest = alice("GET", "/audit-events?action=hold.placed&limit=2&order=asc").json()

    assert [e["id"] for e in first["data"] + second["data"]] == whole[:4]
    assert first["has_more"] is True
    assert [e["id"] for e in oldest["data"]] == whole[:-3:-1]


@pytest.mark.parametrize(
    "query", ["?words=x", "?outcome=maybe", "?limit=0", "?after=0190a0b0-0000-4000-8000-000000000001"]
)
def test_bad_query_is_refused(alice, query):
    refused = alice("GET", f"/audit-events{query}")

    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid"


def test_looking_leaves_an_event_itself(alice):
    events(alice)

    assert events(alice, "?action=audit.listed")[0]["actor"] == "alice"


@pytest.mark.parametrize(
    "path",
    ["/audit-events", "/audit-events/verify", "/audit-events/0190a0b0-0000-7000-8000-000000000001/proof"],
)
def test_scope_compliance_is_needed_and_the_denial_recorded(alice, issue, path):
    agent = issue("read", "write", "import", tenant=alice, person="agent")

    assert agent("GET", path).json()["code"] == "forbidden"

    [denied] = events(alice, "?outcome=denied")
    assert (denied["actor"], denied["action"]) == ("agent", "api.denied")


def test_nothing_of_another_tenant_is_shown(alice, stranger):
    place_holds(alice, 2)
    seal_audit()
    [event, _] = events(alice, "?action=hold.placed")

    assert events(stranger, "?action=hold.placed") == []
    assert stranger("GET", f"/audit-events/{event['id']}/proof").status_code == 404
    for order in ("asc", "desc"):
        assert events(stranger, f"?action=hold.placed&order={order}&after={event['id']}") == []


@pytest.mark.parametrize("batches", [(1,), (3, 4, 1), (7, 9), (16, 1, 2, 5)])
def test_proof_leads_from_every_event_to_what_was_signed(alice, batches):
    for size in batches:
        place_holds(alice, size)
        seal_audit()

    placed = events(alice, "?action=hold.placed&limit=200")

    assert len(placed) == sum(batches)
    for event in placed:
        proof = alice("GET", f"/audit-events/{event['id']}/proof").json()
        _check_like_a_stranger(proof, event)


def test_proof_before_sealing_is_a_conflict(alice):
    place_holds(alice, 1)
    [event] = events(alice, "?action=hold.placed")

    assert alice("GET", f"/audit-events/{event['id']}/proof").json()["code"] == "conflict"


def test_proof_of_an_unknown_event_is_not_found(alice):
    assert alice("GET", f"/audit-events/{uuid4()}/proof").status_code == 404


def test_proof_of_an_altered_event_does_not_hold(alice):
    place_holds(alice, 3)
    seal_audit()
    event = events(alice, "?action=hold.placed")[1]
    tamper("UPDATE conversations_auditevent SET actor = 'bob' WHERE id = %s", event["id"])

    proof = alice("GET", f"/audit-events/{event['id']}/proof").json()

    with pytest.raises(AssertionError):
        _check_like_a_stranger(proof, event)


def test_verification_says_ok_and_is_an_event(alice):
    place_holds(alice, 2)
    seal_audit()

    answer = alice("GET", "/audit-events/verify").json()

    assert (answer["ok"], answer["findings"]) == (True, [])
    assert events(alice, "?action=audit.verified")[0]["details"] == {
        "events": answer["events"],
        "findings": 0,
    }


def test_verification_names_what_was_altered(alice, stranger):
    place_holds(alice, 2)
    place_holds(stranger, 1)
    seal_audit()
    event = events(alice, "?action=hold.placed")[0]
    tamper("UPDATE conversations_auditevent SET actor = 'bob' WHERE id = %s", event["id"])

    answer = alice("GET", "/audit-events/verify").json()

    [finding] = answer["findings"]
    assert answer["ok"] is False
    assert (finding["kind"], finding["sequence"], finding["event_id"]) == (
        "edited",
        event["sequence"],
        event["id"],
    )
    assert stranger("GET", "/audit-events/verify").json()["ok"] is True


def test_details_hold_neither_reasons_nor_names_of_customers(alice):
    alice("PUT", "/customers/Mei%20Ling", {})
    alice("POST", "/holds", {"matter": "Tan v. Lim", "reason": "Lawyer of Tan", "customer_id": "Mei Ling"})

    recorded = str(list(AuditEvent.objects.using("ops").filter(tenant_id=alice.tenant_id).values()))

    assert not [word for word in ("Tan", "Mei", "Lawyer") if word in recorded]


def _check_like_a_stranger(proof, event):
    """With nothing of ours but the answer: RFC 6962, Ed25519 and base64."""
    leaf = b64decode(proof["leaf"], validate=True)
    checkpoint = proof["checkpoint"]
    hashed = sha256(b"\x00" + leaf).digest()
    signed = b64decode(checkpoint["signed"], validate=True)
    root = bytes.fromhex(checkpoint["root_hash"])
    path = [bytes.fromhex(sibling) for sibling in proof["audit_path"]]

    assert hashed.hex() == event["leaf_hash"]
    assert proof["leaf_index"] == event["sequence"] - 1 == msgspec.json.decode(leaf)["sequence"] - 1
    assert merkle.verify_inclusion(hashed, proof["leaf_index"], proof["tree_size"], path, root)
    _, size, encoded_root, end = signed.decode().split("\n")
    assert (int(size), b64decode(encoded_root), end) == (checkpoint["tree_size"], root, "")
    key = Ed25519PublicKey.from_public_bytes(b64decode(checkpoint["public_key"]))
    key.verify(b64decode(checkpoint["signature"]), signed)
    Checkpoint.verified(checkpoint["note"], PublicKey.parse(checkpoint["public_key"]))


def _later(at: str) -> str:
    return (datetime.fromisoformat(at) + timedelta(microseconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
