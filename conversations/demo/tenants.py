"""Casts customers in screenplays and sets the dates: four tenants, the same for the same `now`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import TypeVar

import msgspec

from conversations.demo.play import Performance
from conversations.demo.records import (
    DemoCustomer,
    DemoErasure,
    DemoHold,
    DemoMemory,
    DemoSession,
    DemoTenant,
)
from conversations.demo.script import Script
from conversations.demo.stage import Pools, Value, seeded
from conversations.demo.timing import ages, start_of
from conversations.demo.trades import TRADES, Trade

# Who spoke this recently may speak again: nobody has closed the session yet.
STILL_OPEN = timedelta(hours=16)
TELLINGS, MOST_TELLINGS = "2", 4
Record = TypeVar("Record", DemoMemory, DemoHold)


@dataclass(frozen=True, slots=True)
class Story:
    """A dialogue with its sequels, one customer, and which telling of it this is."""

    acts: tuple[Script, ...]
    customer: DemoCustomer
    telling: int


def conversations(now: datetime) -> Iterator[DemoTenant]:
    """The demo's tenants with everything dated relative to `now` (aware), nothing after it."""
    for trade in TRADES:
        yield tenant_of(trade, now)


def tenant_of(trade: Trade, now: datetime) -> DemoTenant:
    """One trade's tenant, as `conversations` gives it."""
    customers, plan = trade.customers(), trade.plan()
    return DemoTenant(
        name=trade.name,
        officers=trade.officers,
        customers=customers,
        sessions=tuple(sorted(_sessions(trade, customers, now), key=lambda session: session.created_at)),
        memories=tuple(_dated(DemoMemory, row, now) for row in plan.memories),
        holds=tuple(_dated(DemoHold, row, now) for row in plan.holds),
        erasures=msgspec.convert(plan.erasures, type=tuple[DemoErasure, ...]),
        proposed_policy=plan.proposed_policy,
    )


def _sessions(trade: Trade, customers: Sequence[DemoCustomer], now: datetime) -> Iterator[DemoSession]:
    rng, pools = seeded(f"{trade.slug}/dates"), trade.pools()
    stories = list(_cast(trade, customers))
    rng.shuffle(stories)
    for story, age in zip(stories, ages(len(stories), rng), strict=True):
        begins_at = start_of(age, now, _hours(trade, story.acts[0]), trade.utc_offset, rng)
        yield from _told(trade, story, begins_at, now, pools)


def _hours(trade: Trade, script: Script) -> Sequence[int]:
    """A dialogue may insist on its hours (`hours: 23, 0, 1`)."""
    own = script.headers.get("hours")
    return tuple(int(hour) for hour in own.split(",")) if own else trade.local_hours


def _told(
    trade: Trade, story: Story, begins_at: datetime, now: datetime, pools: Pools
) -> Iterator[DemoSession]:
    slots: Mapping[str, Value] = {}
    for act in story.acts:
        begins_at += timedelta(days=float(act.headers.get("after", 0)))
        play = partial(
            Performance, trade, act, story.customer, telling=story.telling, pools=pools, inherited=slots
        )
        performance = play(begins_at=begins_at)
        session = performance.session()
        if late := max(session.messages[-1].created_at - now, timedelta()):
            # The same telling makes the same choices: it ends as much earlier as it begins.
            performance = play(begins_at=begins_at - timedelta(days=ceil(late / timedelta(days=1))))
            session = performance.session()
        slots, begins_at = performance.stage.slots, session.messages[-1].created_at
        yield session if now - begins_at > STILL_OPEN else replace(session, outcome=None)


def _cast(trade: Trade, customers: Sequence[DemoCustomer]) -> Iterator[Story]:
    """Stories until the trade has its number of sessions; every dialogue once before any twice."""
    scripts = trade.scripts()
    sequels = {script.headers["follows"]: script for script in scripts if "follows" in script.headers}
    firsts = [script for script in scripts if "follows" not in script.headers]
    appearances: Counter[str] = Counter()
    players: defaultdict[str, set[str]] = defaultdict(set)
    told = 0
    for telling in range(MOST_TELLINGS):
        for script in firsts:
            if told >= trade.sessions:
                return
            if telling >= int(script.headers.get("times", TELLINGS)):
                continue
            acts = _acts(script, sequels)
            actor = _actor(script, customers, players[script.slug], appearances)
            yield Story(acts, actor, telling)
            told += len(acts)


def _acts(script: Script, sequels: Mapping[str, Script]) -> tuple[Script, ...]:
    acts = [script]
    while sequel := sequels.get(acts[-1].slug):
        acts.append(sequel)
    return tuple(acts)


def _actor(
    script: Script, customers: Sequence[DemoCustomer], players: set[str], appearances: Counter[str]
) -> DemoCustomer:
    """Of those who fit, one who has not played it yet, seen least so far."""
    named, language = script.headers.get("customer"), script.headers.get("language", "en")
    able = [customer for customer in customers if _fits(customer, named, language)]
    seeded(script.slug).shuffle(able)
    chosen = min(able, key=lambda one: (one.external_id in players, appearances[one.external_id] // 2))
    players.add(chosen.external_id)
    appearances[chosen.external_id] += 1
    return chosen


def _fits(customer: DemoCustomer, named: str | None, language: str) -> bool:
    if named:
        return customer.external_id in named.split(", ")
    return customer.language == language and "only_named" not in customer.facts


def _dated(kind: type[Record], row: Mapping[str, object], now: datetime) -> Record:
    """A record whose `*_days` entries (days from now, negative for the past) become times."""
    fields: dict[str, object] = {}
    for key, value in row.items():
        if key.endswith("_days"):
            fields[key.removesuffix("_days")] = now + timedelta(days=float(str(value)))
        else:
            fields[key] = value
    return msgspec.convert(fields, type=kind)
