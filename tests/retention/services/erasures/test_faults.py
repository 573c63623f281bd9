"""Erasures among writers, with a store away, killed in the middle, and what others drew from what is erased."""

import threading
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db import connections

from conversations.backends import configured
from conversations.backends.values import Kind
from conversations.enums import Sink
from conversations.exceptions import Erased, NotFound
from conversations.inputs import MessageIn, SessionIn
from conversations.memory_inputs import MemoryIn
from conversations.mirror.drain import drain
from conversations.mirror.rebuilding import only_rebuild
from conversations.models import Customer, DataKey, Memory, Message, Session
from conversations.principals import SYSTEM
from conversations.services.memories.changes import create_memories
from conversations.services.messages import reading
from conversations.services.messages.appends import append_messages
from conversations.services.sessions import create_session
from conversations.tenancy import tenant_scope
from retention import ledger
from retention.enums import CaseState, ExportState, RecordClass
from retention.models import ArchiveRecord, ErasureCase, ExportJob
from retention.receipts import verify_receipt
from retention.services.archiving import open_record
from retention.services.erasures.execution import carry_out, follow_cases
from retention.services.exports import evidence
from retention.services.exports.evidence import make_pending_evidence, request_evidence
from retention.services.purges.runs import purge
from tests.retention.ambush import kill_in_the_second_batch
from tests.retention.factories import ALICE, ago, erase, make_session, make_tenant, say

pytestmark = pytest.mark.usefixtures("database", "data_dir")


@pytest.fixture(autouse=True)
def ledger_of_this_test(settings, tmp_path):
    settings.ERASURE_LEDGER = tmp_path / "erasures.jsonl"


def left(tenant) -> list[int]:
    with tenant_scope(tenant.id):
        return [model.objects.count() for model in (Message, Session, Customer, ArchiveRecord)]


# -- killed ----------------------------------------------------------------------------------------------------------


def test_erasure_killed_inside_a_batch_is_finished_by_the_next_look(database, postgresql_alone):
    tenant = make_tenant()
    session = make_session(tenant, customer="ann", made_at=ago(9))
    for _ in range(5):
        say(tenant, session, [ago(1)] * 500)

    kill_in_the_second_batch(
        database, *("erase", "--tenant", "acme", "--customer", "ann", "--reason", "r", "--wait")
    )

    with tenant_scope(tenant.id):
        killed = ErasureCase.objects.get()
        assert killed.receipt is None
        assert Message.objects.filter(hidden_at__isnull=False).count() == Message.objects.count() == 1_500
        assert not DataKey.objects.filter(owner="customer", wrapped__isnull=False).exists()
    [line] = ledger.read(django_settings.ERASURE_LEDGER, evidence.signing_key().public_key)
    assert line.entry.case == killed.id

    follow_cases()

    with tenant_scope(tenant.id):
        case = ErasureCase.objects.get()
    assert (case.id, case.state) == (killed.id, CaseState.VERIFIED)
    proven = verify_receipt(bytes(case.receipt)).receipt
    assert proven.stores["postgresql.messages"].found_before == 2_500
    assert {proof.found_after for proof in proven.stores.values()} == {0}
    assert left(tenant) == [0, 0, 0, 0]


# -- a store is away -------------------------------------------------------------------------------------------------


def test_case_waits_for_a_store_that_is_away_and_is_verified_when_it_is_back(elasticsearch, settings):
    settings.REDIS_URL = ""
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1), ago(2)])
    drain()
    case = erase(tenant, customer_id="ann")
    there = settings.ELASTICSEARCH_URL
    settings.ELASTICSEARCH_URL = "http://127.0.0.1:9"
    configured.forget_stores()

    waiting = carry_out(case, timeout=3)

    assert (waiting.state, waiting.receipt) == (CaseState.MIRRORS_PENDING, None)
    assert waiting.last_error
    assert left(tenant)[0] == 0

    settings.ELASTICSEARCH_URL = there
    configured.forget_stores()
    done = carry_out(case, timeout=120)

    assert done.state == CaseState.VERIFIED
    proof = verify_receipt(bytes(done.receipt)).receipt.stores["elasticsearch"]
    assert (proof.found_before > 0, proof.found_after) == (True, 0)


# -- among writers ---------------------------------------------------------------------------------------------------


def test_what_is_written_while_somebody_is_erased_is_erased_with_them_or_is_somebody_new(postgresql_alone):
    tenant = make_tenant()
    session = make_session(tenant, customer="ann")
    old = session.customer_id
    stored: list[UUID] = []
    refused = threading.Event()
    started = threading.Barrier(5)

    def append() -> None:
        started.wait()
        for number in range(300):
            given = [MessageIn(role="user", content=f"hello {number}")]
            try:
                done = append_messages(tenant_id=tenant.id, session_id=session.id, given=given)
            except (Erased, NotFound):
                refused.set()
                break
            stored.append(done.messages[0]["id"])
        connections.close_all()

    def come_again() -> None:
        started.wait()
        while not refused.wait(0.01):
            again, _ = create_session(tenant_id=tenant.id, body=SessionIn(customer_id="ann"))
            try:
                append_messages(
                    tenant_id=tenant.id, session_id=again.id, given=[MessageIn(role="user", content="again")]
                )
            except (Erased, NotFound):
                continue
        connections.close_all()

    threads = [threading.Thread(target=target) for target in (append, append, come_again, come_again)]
    for thread in threads:
        thread.start()
    started.wait()
    while len(stored) < 10 and any(thread.is_alive() for thread in threads):
        refused.wait(0.01)
    case = erase(tenant, customer_id="ann")
    for thread in threads:
        thread.join()
    done = carry_out(case)

    assert refused.is_set()
    assert done.state == CaseState.VERIFIED
    with tenant_scope(tenant.id):
        assert not Message.objects.filter(id__in=stored).exists()
        assert not Message.objects.filter(customer_id=old).exists()
        assert not Session.objects.filter(customer_id=old).exists()
        again = list(Customer.objects.filter(external_id="ann"))
        assert [customer.id for customer in again] != [old]
        new = list(Message.objects.values_list("id", flat=True))
        assert len(reading.read_messages(tenant.id, new)) == len(new)


# -- drawn from what is erased ---------------------------------------------------------------------------------------


def test_memory_drawn_from_an_erased_message_goes_unless_it_has_other_evidence(postgresql_alone):
    tenant = make_tenant()
    (hers,) = say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    (his,) = say(tenant, make_session(tenant, customer="bob"), [ago(1)])
    create_memories(
        tenant_id=tenant.id,
        given=[
            MemoryIn(content="Ann moved", source_message_ids=[hers]),
            MemoryIn(content="Parcels are late", source_message_ids=[hers, his]),
            MemoryIn(content="Ann's neighbour", customer_id="bob", source_message_ids=[hers]),
            MemoryIn(content="Bob is fine", customer_id="bob", source_message_ids=[his]),
            MemoryIn(content="Ann likes tea", customer_id="ann"),
        ],
    )

    case = carry_out(erase(tenant, customer_id="ann"))

    assert case.state == CaseState.VERIFIED
    with tenant_scope(tenant.id):
        sources = [sorted(one.source_message_ids) for one in Memory.objects.all()]
    assert sources == [[his], [his]]


def test_memory_drawn_from_a_single_erased_message_goes_with_it(postgresql_alone):
    tenant = make_tenant()
    first, second = say(tenant, make_session(tenant, customer="ann"), [ago(2), ago(1)])
    for number, source in enumerate((first, second)):
        given = [MemoryIn(content=f"Fact {number}", customer_id="ann", source_message_ids=[source])]
        create_memories(tenant_id=tenant.id, given=given)

    case = carry_out(erase(tenant, message_ids=(first,)))

    assert case.state == CaseState.VERIFIED
    with tenant_scope(tenant.id):
        assert [one.source_message_ids for one in Memory.objects.all()] == [[second]]


def test_archive_of_an_erased_person_goes_and_that_of_others_still_opens(postgresql_alone):
    tenant = make_tenant()
    for customer in ("ann", "bob"):
        say(tenant, make_session(tenant, customer=customer, made_at=ago(200)), [ago(120), ago(110)])
    purge(tenant_id=tenant.id, record_class=RecordClass.MESSAGES, actor=SYSTEM)

    case = carry_out(erase(tenant, customer_id="ann"))

    assert case.state == CaseState.VERIFIED
    with tenant_scope(tenant.id):
        kept = list(ArchiveRecord.objects.order_by("id"))
        said = [open_record(record, customer="bob")["content"] for record in kept]
    assert said == ["Where is it? 0", "Where is it? 1"]


# -- exports ---------------------------------------------------------------------------------------------------------


def exported(tenant, *customers) -> tuple[ExportJob, list[str]]:
    sessions = [make_session(tenant, customer=customer) for customer in customers]
    for session in sessions:
        say(tenant, session, [ago(0.1)])
    job = request_evidence(
        tenant_id=tenant.id,
        session_ids=[session.id for session in sessions],
        originals=True,
        reason="r",
        actor=ALICE,
    )
    return job, [str(session.id) for session in sessions]


def files() -> list[str]:
    folders = (django_settings.DATA_DIR / "exports", django_settings.DATA_DIR / "unfinished")
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def test_evidence_about_several_people_goes_with_the_first_who_is_erased(postgresql_alone):
    tenant = make_tenant()
    mixed, _ = exported(tenant, "ann", "bob")
    others, _ = exported(tenant, "carl", "dora")
    assert make_pending_evidence() == 2
    assert files() == sorted([f"{mixed.id}.sealed", f"{others.id}.sealed"])

    case = carry_out(erase(tenant, customer_id="ann"))

    assert case.state == CaseState.VERIFIED
    assert files() == [f"{others.id}.sealed"]
    with tenant_scope(tenant.id):
        assert [job.id for job in ExportJob.objects.all()] == [others.id]
    proof = verify_receipt(bytes(case.receipt)).receipt.stores["postgresql.exports"]
    assert (proof.found_before, proof.found_after) == (1, 0)


@pytest.mark.parametrize("what", ["session", "message"])
def test_evidence_goes_with_a_part_of_it(postgresql_alone, what):
    tenant = make_tenant()
    _, (first, _) = exported(tenant, "ann", "bob")
    make_pending_evidence()
    with tenant_scope(tenant.id):
        (message,) = Message.objects.filter(session_id=first).values_list("id", flat=True)
    asked = {"session_id": UUID(first)} if what == "session" else {"message_ids": (message,)}

    case = carry_out(erase(tenant, **asked))

    assert case.state == CaseState.VERIFIED
    assert files() == []


def test_evidence_in_the_making_is_not_stored_after_an_erasure(postgresql_alone, monkeypatch):
    tenant = make_tenant()
    exported(tenant, "ann", "bob")

    def erase_meanwhile(*args, **kwargs):
        carry_out(erase(tenant, customer_id="ann"))
        return sign(*args, **kwargs)

    sign = evidence._sign
    monkeypatch.setattr(evidence, "_sign", erase_meanwhile)

    assert make_pending_evidence() == 0
    assert files() == []
    with tenant_scope(tenant.id):
        assert not ExportJob.objects.filter(state=ExportState.DONE).exists()


# -- vector files ----------------------------------------------------------------------------------------------------


def test_vector_files_wait_for_a_rebuild_that_is_under_way(milvus, settings):
    settings.REDIS_URL = ""
    tenant = make_tenant()
    say(tenant, make_session(tenant, customer="ann"), [ago(1)])
    say(tenant, make_session(tenant, customer="bob"), [ago(1)])
    drain()
    case = erase(tenant, customer_id="ann")
    held, over = threading.Event(), threading.Event()

    def rebuild() -> None:
        with only_rebuild(Sink.MILVUS):
            held.set()
            over.wait()
        connections.close_all()

    other = threading.Thread(target=rebuild)
    other.start()
    held.wait()
    try:
        waiting = carry_out(case, timeout=3)
    finally:
        over.set()
        other.join()

    assert waiting.state == CaseState.MIRRORS_PENDING
    assert carry_out(case, timeout=120).state == CaseState.VERIFIED
    assert milvus.count(Kind.MESSAGES, tenant.id) == 1
