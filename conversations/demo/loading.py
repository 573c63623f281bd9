"""Loads one demo tenant through the public API; run again, it stores nothing twice.

The newest session goes in first and says in its metadata from which moment all ages are counted, so that an
interrupted load continues with the same dates. The second newest goes in last: where it stands, all is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from conversations.demo.bodies import close_body, hold_body, memory_body, messages_body, session_body
from conversations.demo.client import DemoClient, NotInThisVersion
from conversations.demo.records import DemoCustomer, DemoHold, DemoSession, DemoTenant

MADE_OR_FOUND = (200, 201)
MADE_OR_ERASED = (200, 201, 410)

Build = Callable[[datetime], DemoTenant]
Advance = Callable[[int, int], None]


@dataclass(slots=True)
class LoadReport:
    """What one load did; `skipped` names endpoints that this version of the server does not have."""

    tenant: str
    sessions: int = 0
    messages: int = 0
    memories: int = 0
    customers: int = 0
    holds: int = 0
    erasures: int = 0
    already_there: int = 0
    erased: int = 0
    skipped: list[str] = field(default_factory=list)


def load_tenant(client: DemoClient, build: Build, now: datetime, advance: Advance) -> LoadReport:
    """Everything of the tenant that is not there yet; `advance(done, total)` after each session."""
    tenant = build(now)
    first, *_ = ordered = in_load_order(tenant)
    found = _find(client, first)
    dated_from = now if found is None else datetime.fromisoformat(found["metadata"]["dated_from"])
    if found is not None:
        tenant = build(dated_from)
        ordered = in_load_order(tenant)
    load = _Load(client, tenant, dated_from, now, LoadReport(tenant.name))
    if found is not None and _is_stored(_find(client, ordered[-1])):
        load.report.already_there = len(ordered)
        advance(len(ordered), len(ordered))
    else:
        load.run(ordered, advance)
    return load.report


def in_load_order(tenant: DemoTenant) -> list[DemoSession]:
    """The newest first, the second newest last, the others oldest first; neither end is of an erased customer."""
    erased = {erasure.customer for erasure in tenant.erasures}
    witness, marker = [session for session in tenant.sessions if session.customer not in erased][-2:]
    return [marker, *(session for session in tenant.sessions if session not in (marker, witness)), witness]


@dataclass(frozen=True, slots=True)
class _Load:
    client: DemoClient
    tenant: DemoTenant
    dated_from: datetime
    now: datetime
    report: LoadReport

    def run(self, ordered: list[DemoSession], advance: Advance) -> None:
        *most, witness = ordered
        for done, session in enumerate(most, start=1):
            self._session(session)
            advance(done, len(ordered))
        for step in (self._customers, self._memories, self._holds, self._policy, self._erasures):
            step()
        self._session(witness)
        advance(len(ordered), len(ordered))

    def _session(self, session: DemoSession) -> None:
        body = session_body(session, self.dated_from)
        status, found = self.client.call("POST", "/sessions", body=body, expect=MADE_OR_ERASED)
        if status == 410:
            self.report.erased += 1
            return
        if found["message_count"]:
            self.report.already_there += 1
        else:
            _, stored = self.client.call(
                "POST",
                "/sessions/{}/messages",
                found["id"],
                body=messages_body(session),
                expect=MADE_OR_FOUND,
            )
            self.report.sessions += 1
            self.report.messages += len(stored["data"])
        if session.outcome and found["status"] == "open":
            self.client.call("POST", "/sessions/{}/close", found["id"], body=close_body(session))

    def _customers(self) -> None:
        erased = {erasure.customer for erasure in self.tenant.erasures}
        for customer in self.tenant.customers:
            if customer.external_id not in erased:
                with self._if_available():
                    self._customer(customer)

    def _customer(self, customer: DemoCustomer) -> None:
        known = {"language": customer.language, "metadata": customer.metadata}
        self.client.call("PUT", "/customers/{}", customer.external_id, body=known, expect=MADE_OR_FOUND)
        self.report.customers += 1
        if customer.preferences:
            preferences = {"preferences": customer.preferences}
            self.client.call(
                "PUT",
                "/customers/{}/preferences",
                customer.external_id,
                body=preferences,
                expect=MADE_OR_FOUND,
            )
        if customer.portrait:
            # A merge of the same values is still a version of the portrait.
            _, portrait = self.client.call("GET", "/customers/{}/portrait", customer.external_id)
            if not portrait["purchase_history"] and not portrait["summary"]:
                self.client.call(
                    "PATCH", "/customers/{}/portrait", customer.external_id, body=customer.portrait
                )

    def _memories(self) -> None:
        for memory in self.tenant.memories:
            if memory.expires_at and memory.expires_at <= self.now:
                continue
            with self._if_available():
                self.client.call("POST", "/memories", body=memory_body(memory), expect=MADE_OR_FOUND)
                self.report.memories += 1

    def _holds(self) -> None:
        with self._if_available():
            placed = {hold["matter"]: hold for hold in self._all("/holds")}
            for hold in self.tenant.holds:
                self._hold(hold, placed.get(hold.matter))

    def _hold(self, hold: DemoHold, placed: Any) -> None:
        if placed is None:
            _, placed = self.client.call("POST", "/holds", body=hold_body(hold), expect=(201,))
            self.report.holds += 1
        if hold.release_reason:
            # 409: the release was asked for by the load that was interrupted.
            reason = {"reason": hold.release_reason}
            self.client.call("POST", "/holds/{}/release", placed["id"], body=reason, expect=(202, 409))

    def _policy(self) -> None:
        if self.tenant.proposed_policy is None:
            return
        with self._if_available():
            _, policy = self.client.call("GET", "/retention/policy")
            if not policy.get("pending"):
                self.client.call(
                    "PUT", "/retention/policy", body=self.tenant.proposed_policy, expect=(200, 202)
                )

    def _erasures(self) -> None:
        for erasure in self.tenant.erasures:
            body = {"customer_id": erasure.customer, "reason": erasure.reason, "basis": erasure.basis}
            with self._if_available():
                status, _ = self.client.call("POST", "/erasures", body=body, expect=(202, 410))
                self.report.erasures += status == 202

    def _all(self, template: str) -> list[Any]:
        _, page = self.client.call("GET", template, query={"limit": "200"})
        return list(page["data"])

    @contextmanager
    def _if_available(self) -> Iterator[None]:
        try:
            yield
        except NotInThisVersion as missing:
            if str(missing) not in self.report.skipped:
                self.report.skipped.append(str(missing))


def _find(client: DemoClient, session: DemoSession) -> Any:
    _, page = client.call("GET", "/sessions", query={"external_id": session.external_id})
    return page["data"][0] if page["data"] else None


def _is_stored(session: Any) -> bool:
    return session is not None and session["message_count"] > 0
