"""The four trades: how their days, agents and systems differ, and where their words are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from conversations.demo.records import DemoCustomer
from conversations.demo.script import Script, read_scripts
from conversations.demo.stage import Pools

DATA = Path(__file__).parent / "data"
SENT_FACTS = ("name", "city", "outlet", "team", "tier")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a trade asks of the loader beside conversations; ages are days before the load."""

    memories: tuple[Mapping[str, object], ...] = ()
    holds: tuple[Mapping[str, object], ...] = ()
    erasures: tuple[Mapping[str, str], ...] = ()
    proposed_policy: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    slug: str
    name: str
    officers: tuple[str, str]
    prefix: str
    sessions: int
    local_hours: tuple[int, ...]
    utc_offset: int
    channels: tuple[str, ...]
    models: tuple[str, ...]
    context: Mapping[str, str]
    agents: bool = False
    turns: bool = False
    reply_after: tuple[float, float] = (2.0, 9.0)
    answer_after: timedelta = field(default=timedelta(seconds=70))

    @property
    def folder(self) -> Path:
        return DATA / self.slug

    def scripts(self) -> tuple[Script, ...]:
        return tuple(script for path in sorted(self.folder.glob("*.txt")) for script in read_scripts(path))

    def pools(self) -> Pools:
        pools: Pools = msgspec.json.decode((self.folder / "slots.json").read_bytes(), type=Pools)
        return pools

    def customers(self) -> tuple[DemoCustomer, ...]:
        rows = msgspec.json.decode(
            (self.folder / "customers.json").read_bytes(), type=list[dict[str, object]]
        )
        return tuple(_customer(row) for row in rows)

    def plan(self) -> Plan:
        return msgspec.json.decode((self.folder / "plan.json").read_bytes(), type=Plan)


def _customer(row: dict[str, object]) -> DemoCustomer:
    facts = {key: value for key, value in row.items() if isinstance(value, str)}
    return DemoCustomer(
        external_id=facts["id"],
        language=facts["language"],
        facts=facts,
        metadata={key: facts[key] for key in SENT_FACTS if key in facts},
        preferences=msgspec.convert(row.get("preferences", {}), type=dict[str, object]),
        portrait=msgspec.convert(row.get("portrait", {}), type=dict[str, object]),
    )


TRADES = (
    Trade(
        slug="cosmetics",
        name="Moonpetal Cosmetics",
        officers=("Mei-Lin Zhao", "Ruben Castellanos"),
        prefix="mp",
        sessions=68,
        local_hours=(9, 10, 11, 12, 13, 14, 15, 16, 19, 20, 20, 21, 21, 22, 23),
        utc_offset=8,
        channels=("wechat", "web", "app"),
        models=("petal-large-2", "petal-small-2"),
        context={"source": "storefront", "pipeline": "nine-agents", "pipeline_version": "4.2"},
        agents=True,
    ),
    Trade(
        slug="wholesale",
        name="Boxwell Packaging",
        officers=("Corinne Ho", "Suresh Pillai"),
        prefix="wa",
        sessions=66,
        local_hours=(0, 1, 6, 7, 8, 9, 9, 10, 10, 11, 11, 12, 14, 15, 16, 17, 22, 23),
        utc_offset=8,
        channels=("whatsapp",),
        models=("bo-1.6",),
        context={"source": "whatsapp", "platform": "boxwell-orders"},
        answer_after=timedelta(seconds=110),
    ),
    Trade(
        slug="netops",
        name="Northline Network Operations",
        officers=("Priya Raman", "Henrik Aas"),
        prefix="noc",
        sessions=58,
        local_hours=(0, 2, 3, 4, 6, 8, 9, 10, 11, 13, 14, 15, 16, 18, 20, 21, 23),
        utc_offset=1,
        channels=("cli", "slack", "web"),
        models=("northline-agent-7",),
        context={"source": "noc-console", "region": "emea"},
        turns=True,
        reply_after=(1.0, 6.0),
        answer_after=timedelta(seconds=95),
    ),
    Trade(
        slug="concerts",
        name="Encore Concert Guide",
        officers=("Leonie Fischer", "Marcus Abara"),
        prefix="enc",
        sessions=58,
        local_hours=(8, 12, 12, 13, 17, 18, 18, 19, 19, 20, 20, 21, 21, 22, 23, 0, 1),
        utc_offset=-5,
        channels=("app", "web", "telegram"),
        models=("encore-chat-3",),
        context={"source": "concert-chatbot", "catalogue": "autumn"},
    ),
)
