from datetime import timedelta

import pytest

from conversations.principals import SYSTEM
from retention.enums import RecordClass
from retention.services.purges.runs import purge
from tests.retention.api.test_holds import converse
from tests.retention.api.test_policies import POLICY


@pytest.fixture
def stopped(alice, bob, settings):
    """A run that the fuse stopped after the policy was shortened."""
    settings.POLICY_COOLING = timedelta(0)
    settings.PURGE_FUSE_FLOOR = 1
    purge(tenant_id=alice.tenant_id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    converse(alice, 40, 39, 38)
    alice("PUT", "/retention/policy", {**POLICY, "messages": "P30D"})
    bob("POST", "/retention/policy/approve", {"version": 1})
    return str(purge(tenant_id=alice.tenant_id, record_class=RecordClass.MESSAGES, actor=SYSTEM).id)


def test_runs_are_listed_and_shown_with_their_counts(alice, stranger):
    converse(alice, 100, 99)
    purge(tenant_id=alice.tenant_id, record_class=RecordClass.MESSAGES, actor=SYSTEM)

    (run,) = alice("GET", "/purge-runs").json()["data"]

    assert (run["object"], run["class"], run["state"]) == ("purge_run", "messages", "done")
    assert (run["candidates"], run["held"], run["archived"], run["destroyed"]) == (2, 0, 2, 0)
    assert len(run["merkle_root"]) == 64
    assert alice("GET", f"/purge-runs/{run['id']}").json() == run
    assert stranger("GET", f"/purge-runs/{run['id']}").status_code == 404


def test_person_confirms_a_stopped_run(alice, bob, stopped):
    refused = bob("POST", f"/purge-runs/{stopped}/confirm", {"reason": ""})
    confirmed = bob("POST", f"/purge-runs/{stopped}/confirm", {"reason": "as decided"})
    purge(tenant_id=alice.tenant_id, record_class=RecordClass.MESSAGES, actor=SYSTEM)
    again = bob("POST", f"/purge-runs/{stopped}/confirm", {"reason": "as decided"})

    assert refused.status_code == 400
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "running")
    assert again.status_code == 409
    done = alice("GET", f"/purge-runs/{stopped}").json()
    assert (done["state"], done["archived"], done["confirmed_by"]) == ("done", 3, "bob")
