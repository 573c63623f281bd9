"""Walks a sealed audit trail from its first event to its last and names every row that differs from what was sealed.

Pure: rows go in, findings come out. Three things are compared: the event with its leaf hash, the leaf's row with the
MAC that is its id, and the tree over the leaf hashes with what was signed. So an event that was edited together with
its hash is still found by its row, and one changed row does not make all later ones suspicious.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from conversations.checkpoints import Checkpoint, InvalidCheckpoint
from conversations.merkle import HASH_SIZE, Frontier
from conversations.signing import PublicKey
from retention.audit_leaves import leaf_data, leaf_mac

MOST_FINDINGS = 1_000  # of one tenant: beyond that, everything counts as rewritten
_MOST_COMPARED = 200  # altered rows that are compared with each other
_FARTHEST_SHIFT = 16  # rows taken out or put in at one place, with all later ones renumbered
_LARGEST_GAP = 1_000_000  # a number beyond that is forged, and no tree is grown to it
_LOST = bytes(HASH_SIZE)  # holds the place of a leaf that is gone


class FindingKind(StrEnum):
    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    MOVED = "moved"  # to another tenant, or from one
    TRUNCATED = "truncated"  # the tail is cut
    CHECKPOINT = "checkpoint"  # not signed by this installation, or not the root of these leaves
    WITNESS = "witness"  # the database agrees with itself, the witness file does not


@dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction to what was sealed: the row if it is known, else the first that it may be."""

    kind: FindingKind
    tenant: str  # its name
    sequence: int | None = None
    event_id: UUID | None = None
    checkpoint: int | None = None  # the tree size it was signed for


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A row of `AuditCheckpoint`."""

    tree_size: int
    root_hash: bytes
    frontier: bytes
    signed: str


@dataclass(frozen=True, slots=True)
class Log:
    """One tenant's trail and the keys it was sealed with."""

    tenant_id: UUID
    name: str
    origin: str
    public_key: PublicKey
    leaf_key: bytes


class LeafRow(NamedTuple):
    """A row of `AuditLeaf` with its event."""

    sequence: int
    id: bytes  # the MAC over the columns around it
    event_id: bytes
    leaf_hash: bytes
    event: tuple[object, ...] | None  # its `EVENT_SQL` columns; None where it is gone


@dataclass(slots=True)
class _Suspect:
    """A leaf whose row was not written by the sealer as it stands."""

    row: LeafRow
    inserted: bool = False


@dataclass
class Walk:
    """Feed it the leaves in order, then `finish`. `witnessed` maps tree sizes to the roots the witness has seen."""

    log: Log
    checkpoints: Iterable[StoredCheckpoint]
    witnessed: Mapping[int, bytes] = field(default_factory=dict)
    may_be_gone: Callable[[UUID], bool] = lambda event_id: False  # its month was dropped in order

    def __post_init__(self) -> None:
        self.findings: list[Finding] = []
        self.size = 0
        self._tenant_text = str(self.log.tenant_id)
        self._tenant = self.log.tenant_id.bytes
        self._frontier = Frontier()
        self._leaves: list[bytes] = []  # since the last mark
        self._altered = False  # a row since the last mark is reported already
        self._agreed = 0  # the size up to which the signed trees are as they were
        self._shift = 0  # by how much the current rows were renumbered
        self._last_step = (0, 0)  # the last row examined for it, and the answer
        self._missing: dict[int, None] = {}  # sequences without a leaf
        self._gone: list[tuple[int, UUID]] = []  # leaves without an event
        self._suspects: list[_Suspect] = []
        self._witness_reported = False
        self._covered = 0
        self._stored = iter(self.checkpoints)
        self._next = next(self._stored, None)
        self._sightings = sorted(self.witnessed, reverse=True)
        self._mark = self._next_mark()

    def feed(self, rows: Iterable[LeafRow]) -> None:
        """Check these leaves, which follow those before by their sequence."""
        key, tenant, text = self.log.leaf_key, self._tenant, self._tenant_text
        for row in rows:
            sequence, row_id, event_id, leaf_hash, event = row
            if sequence != self.size + 1:
                if sequence <= self.size:  # below 1: no place of the tree
                    self._suspect(row)
                    continue
                self._skip_to(sequence)
            if (
                event is None
                or sha256(b"\x00" + leaf_data(text, sequence, event)).digest() != leaf_hash
                or leaf_mac(key, tenant, sequence, event_id, leaf_hash) != row_id
            ):
                self._examine(row)
            self._grow(leaf_hash)

    def finish(
        self, elsewhere: Callable[[Sequence[UUID]], set[UUID]], tenants: Sequence[UUID] = ()
    ) -> list[Finding]:
        """All findings, by sequence. `elsewhere` tells which of some events now stand under another tenant."""
        self._compare_ends()
        self._judge_suspects(tenants)
        moved = elsewhere([event_id for _, event_id in self._gone]) if self._gone else set()
        for sequence, event_id in self._gone:
            self._report(FindingKind.MOVED if event_id in moved else FindingKind.DELETED, sequence, event_id)
        for sequence in self._missing:
            self._report(FindingKind.DELETED, sequence)
        return sorted(self.findings, key=lambda f: (f.sequence or f.checkpoint or 0, f.kind))[:MOST_FINDINGS]

    # -- rows ------------------------------------------------------------------------------------------------------

    def _grow(self, leaf_hash: bytes) -> None:
        self._leaves.append(leaf_hash)
        self.size += 1
        if self.size == self._mark:
            self._compare_trees()

    def _skip_to(self, sequence: int) -> None:
        """The leaves before this one are missing."""
        first = self.size + 1
        self._missing.update(dict.fromkeys(range(first, min(sequence, first + MOST_FINDINGS))))
        for _ in range(first, min(sequence, first + _LARGEST_GAP)):
            self._altered = True
            self._grow(_LOST)
        self.size = sequence - 1

    def _examine(self, row: LeafRow) -> None:
        """A leaf whose event, hash or row is not as it was sealed: find out which."""
        if self._was_sealed_at(row.sequence, row):
            self._shift = 0
            event_id = UUID(bytes=row.event_id)
            if row.event is not None:
                self._report(FindingKind.EDITED, row.sequence, event_id)
            elif not self.may_be_gone(event_id) and len(self._gone) < MOST_FINDINGS:
                self._gone.append((row.sequence, event_id))
            return
        self._altered = True
        if self._shift and self._was_sealed_at(row.sequence + self._shift, row):
            return  # renumbered like the row before it
        self._suspect(row)
        self._detect_shift(self._renumbered_by(row))

    def _suspect(self, row: LeafRow) -> None:
        if len(self._suspects) < MOST_FINDINGS:
            self._suspects.append(_Suspect(row))

    def _renumbered_by(self, row: LeafRow) -> int:
        """How much farther than those before it this row was renumbered, if only its number is another; else 0."""
        for step in (s for distance in range(1, _FARTHEST_SHIFT + 1) for s in (distance, -distance)):
            if self._was_sealed_at(row.sequence + self._shift + step, row):
                return step
        return 0

    def _detect_shift(self, step: int) -> None:
        """Two neighbours renumbered alike: rows before them were taken out or put in, and all later ones follow."""
        before, self._last_step = self._last_step, (self.size + 1, step)
        if not step or before != (self.size, step) or len(self._suspects) < 2:
            return
        first = self._suspects[-2].row.sequence
        del self._suspects[-2:]
        if step > 0:
            self._missing.update(dict.fromkeys(range(first + self._shift, first + self._shift + step)))
        for suspect in self._suspects[step:] if step < 0 else ():
            suspect.inserted = True
        self._shift += step

    def _was_sealed_at(self, sequence: int, row: LeafRow, tenant: bytes | None = None) -> bool:
        """Whether the sealer wrote these columns under this number, of this tenant (ours by default)."""
        return sequence > 0 and row.id == leaf_mac(
            self.log.leaf_key, tenant or self._tenant, sequence, row.event_id, row.leaf_hash
        )

    def _judge_suspects(self, tenants: Sequence[UUID]) -> None:
        for suspect in self._suspects:
            row, kind = suspect.row, FindingKind.EDITED
            original = self._original_place(suspect)
            if original is not None:
                kind = FindingKind.REORDERED
                self._missing.pop(original, None)
            elif any(self._was_sealed_at(row.sequence, row, tenant.bytes) for tenant in tenants):
                kind = FindingKind.MOVED
            elif suspect.inserted or row.sequence > self._covered:
                kind = FindingKind.INSERTED
            elif row.event is None:
                kind = FindingKind.DELETED
            self._report(kind, row.sequence, UUID(bytes=row.event_id))

    def _original_place(self, suspect: _Suspect) -> int | None:
        """Where the leaf stood when it was sealed, if it is one of the places that are not as they were."""
        row = suspect.row
        others = [other.row for other in self._suspects[:_MOST_COMPARED] if other is not suspect]
        places: list[int] = [
            *(other.sequence for other in others),
            *list(self._missing)[:_MOST_COMPARED],
            *range(row.sequence - _FARTHEST_SHIFT, row.sequence + _FARTHEST_SHIFT + 1),
        ]
        for place in places:
            if self._was_sealed_at(place, row):
                return place
        for other in others:  # the columns were exchanged, the rows stayed where they are
            for leaf_hash in (other.leaf_hash, row.leaf_hash):
                exchanged = row._replace(event_id=other.event_id, leaf_hash=leaf_hash)
                if self._was_sealed_at(row.sequence, exchanged):
                    return other.sequence
        return None

    # -- trees -----------------------------------------------------------------------------------------------------

    def _next_mark(self) -> int:
        """The next tree size at which something was signed or seen."""
        marks = [self._next.tree_size] if self._next is not None else []
        marks += self._sightings[-1:]
        return min(marks, default=0)

    def _compare_trees(self) -> None:
        """The tree has reached a size of which there is a checkpoint, here or at the witness."""
        self._frontier = self._frontier.extended(self._leaves)
        self._leaves.clear()
        root, stored = self._frontier.root(), self._next
        if stored is not None and stored.tree_size == self.size:
            self._next = next(self._stored, None)
            self._covered = self.size
            root = self._compare_signed(stored, root)
        if self._sightings and self._sightings[-1] == self.size:
            self._sightings.pop()
            is_known = stored is not None and stored.tree_size == self.size
            self._compare_witnessed(root, is_known=is_known)
        self._altered = False
        self._mark = self._next_mark()

    def _compare_signed(self, stored: StoredCheckpoint, root: bytes) -> bytes:
        """The root that was signed at this size; ours where that signature means nothing."""
        signed = signed_root(stored, self.log)
        if signed is None:
            self._report(FindingKind.CHECKPOINT, checkpoint=self.size)
            return root
        if signed == root:
            self._agreed = self.size
            return root
        if not self._altered:
            self._report(FindingKind.CHECKPOINT, self._agreed + 1, checkpoint=self.size)
        # From here on with what was signed, so that what follows is judged for itself.
        self._frontier = Frontier.parse(self.size, stored.frontier)
        return signed

    def _compare_witnessed(self, root: bytes, *, is_known: bool) -> None:
        agrees = self.witnessed[self.size] == root
        if (agrees and is_known) or self._altered or self._witness_reported:
            return
        self._witness_reported = not agrees
        sequence = None if agrees else self._last_sighting_before() + 1
        self._report(FindingKind.WITNESS, sequence, checkpoint=self.size)

    def _last_sighting_before(self) -> int:
        return max((size for size in self.witnessed if size < self.size), default=0)

    def _compare_ends(self) -> None:
        """Report it where trail, checkpoints and witness do not end at the same event."""
        end = self.size
        unmet = [checkpoint.tree_size for checkpoint in (self._next, *self._stored) if checkpoint is not None]
        if unmet:
            self._report(FindingKind.TRUNCATED, end + 1, checkpoint=unmet[-1])
        elif self._sightings:
            self._report(FindingKind.WITNESS, end + 1, checkpoint=self._sightings[0])
        elif end > self._covered and not self._altered:
            self._report(FindingKind.TRUNCATED, self._covered + 1)

    def _report(
        self,
        kind: FindingKind,
        sequence: int | None = None,
        event_id: UUID | None = None,
        *,
        checkpoint: int | None = None,
    ) -> None:
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(kind, self.log.name, sequence, event_id, checkpoint))


def signed_root(stored: StoredCheckpoint, log: Log) -> bytes | None:
    """The root that the checkpoint's signature vouches for; None when its row is not what was signed."""
    try:
        note = Checkpoint.verified(stored.signed, log.public_key)
        frontier = Frontier.parse(stored.tree_size, stored.frontier)
    except (InvalidCheckpoint, ValueError):
        return None
    is_whole = note.origin == log.origin and note.size == stored.tree_size
    return note.root if is_whole and note.root == stored.root_hash == frontier.root() else None
