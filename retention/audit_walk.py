"""Walking a sealed audit trail from its first event to its last, naming every row that is not what was sealed.

Pure: rows go in, findings come out. Three things are compared: the event with its leaf hash, the leaf's row with the
MAC that is its id, and the tree over the leaf hashes with what was signed. So an event that was edited together with
its hash is still named by its row, and a change of one row does not cry wolf over all that follow it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
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


# Sequence, the leaf's id and the event's as bytes, leaf hash; the event as `EVENT_SQL` has it, None where it is gone.
LeafRow = tuple[int, bytes, bytes, bytes, tuple[object, ...] | None]


@dataclass(slots=True)
class _Suspect:
    """A leaf whose row was not written by the sealer as it stands."""

    sequence: int
    row_id: bytes
    event: bytes
    leaf_hash: bytes
    has_event: bool
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
        self._altered = False  # a row since the last mark is named already
        self._agreed = 0  # the size up to which the signed trees are as they were
        self._shift = 0  # by how much the current rows were renumbered
        self._last_step = (0, 0)  # the last row of whom that was asked, and the answer
        self._missing: dict[int, None] = {}  # sequences without a leaf
        self._gone: list[tuple[int, UUID]] = []  # leaves without an event
        self._suspects: list[_Suspect] = []
        self._witness_told = False
        self._covered = 0
        self._stored = iter(self.checkpoints)
        self._next = next(self._stored, None)
        self._sightings = sorted(self.witnessed, reverse=True)
        self._mark = self._next_mark()

    def feed(self, rows: Iterable[LeafRow]) -> None:
        """Look at these leaves, which follow those before by their sequence."""
        key, tenant, text = self.log.leaf_key, self._tenant, self._tenant_text
        for sequence, row_id, event_id, leaf_hash, event in rows:
            if sequence != self.size + 1:
                if sequence <= self.size:  # below 1: no place of the tree
                    self._suspect(sequence, row_id, event_id, leaf_hash, event)
                    continue
                self._lose(sequence)
            if (
                event is None
                or sha256(b"\x00" + leaf_data(text, sequence, event)).digest() != leaf_hash
                or leaf_mac(key, tenant, sequence, event_id, leaf_hash) != row_id
            ):
                self._question(sequence, row_id, event_id, leaf_hash, event)
            self._grow(leaf_hash)

    def finish(
        self, elsewhere: Callable[[Sequence[UUID]], set[UUID]], tenants: Sequence[UUID] = ()
    ) -> list[Finding]:
        """All findings, by sequence. `elsewhere` tells which of some events now stand under another tenant."""
        self._look_at_the_end()
        self._judge_suspects(tenants)
        moved = elsewhere([event_id for _, event_id in self._gone]) if self._gone else set()
        for sequence, event_id in self._gone:
            self._tell(FindingKind.MOVED if event_id in moved else FindingKind.DELETED, sequence, event_id)
        for sequence in self._missing:
            self._tell(FindingKind.DELETED, sequence)
        return sorted(self.findings, key=lambda f: (f.sequence or f.checkpoint or 0, f.kind))[:MOST_FINDINGS]

    # -- rows ------------------------------------------------------------------------------------------------------

    def _grow(self, leaf_hash: bytes) -> None:
        self._leaves.append(leaf_hash)
        self.size += 1
        if self.size == self._mark:
            self._compare_trees()

    def _lose(self, found: int) -> None:
        """Sequences are missing before this one."""
        first = self.size + 1
        self._missing.update(dict.fromkeys(range(first, min(found, first + MOST_FINDINGS))))
        for _ in range(first, min(found, first + _LARGEST_GAP)):
            self._altered = True
            self._grow(_LOST)
        self.size = found - 1

    def _question(
        self,
        sequence: int,
        row_id: bytes,
        event: bytes,
        leaf_hash: bytes,
        columns: tuple[object, ...] | None,
    ) -> None:
        if self._was_sealed_as(row_id, sequence, event, leaf_hash):
            self._shift = 0
            event_id = UUID(bytes=event)
            if columns is not None:
                self._tell(FindingKind.EDITED, sequence, event_id)
            elif not self.may_be_gone(event_id) and len(self._gone) < MOST_FINDINGS:
                self._gone.append((sequence, event_id))
            return
        self._altered = True
        if self._shift and self._was_sealed_as(row_id, sequence + self._shift, event, leaf_hash):
            return  # renumbered like the row before it
        self._suspect(sequence, row_id, event, leaf_hash, columns)
        self._look_for_a_shift(self._step(sequence, row_id, event, leaf_hash))

    def _suspect(
        self,
        sequence: int,
        row_id: bytes,
        event: bytes,
        leaf_hash: bytes,
        columns: tuple[object, ...] | None,
    ) -> None:
        if len(self._suspects) < MOST_FINDINGS:
            self._suspects.append(_Suspect(sequence, row_id, event, leaf_hash, columns is not None))

    def _step(self, sequence: int, row_id: bytes, event: bytes, leaf_hash: bytes) -> int:
        """How much farther than those before it this row was renumbered, if only its number is another; else 0."""
        for step in (s for distance in range(1, _FARTHEST_SHIFT + 1) for s in (distance, -distance)):
            if self._was_sealed_as(row_id, sequence + self._shift + step, event, leaf_hash):
                return step
        return 0

    def _look_for_a_shift(self, step: int) -> None:
        """Two neighbours renumbered alike: rows before them were taken out or put in, and all later ones follow."""
        before, self._last_step = self._last_step, (self.size + 1, step)
        if not step or before != (self.size, step) or len(self._suspects) < 2:
            return
        first = self._suspects[-2].sequence
        del self._suspects[-2:]
        if step > 0:
            self._missing.update(dict.fromkeys(range(first + self._shift, first + self._shift + step)))
        for suspect in self._suspects[step:] if step < 0 else ():
            suspect.inserted = True
        self._shift += step

    def _was_sealed_as(self, row_id: bytes, sequence: int, event: bytes, leaf_hash: bytes) -> bool:
        return self._is_sealed(self._tenant, row_id, sequence, event, leaf_hash)

    def _is_sealed(self, tenant: bytes, row_id: bytes, sequence: int, event: bytes, leaf_hash: bytes) -> bool:
        return sequence > 0 and leaf_mac(self.log.leaf_key, tenant, sequence, event, leaf_hash) == row_id

    def _judge_suspects(self, tenants: Sequence[UUID]) -> None:
        for suspect in self._suspects:
            kind = FindingKind.EDITED
            original = self._original_place(suspect)
            if original is not None:
                kind = FindingKind.REORDERED
                self._missing.pop(original, None)
            elif self._is_of_another(suspect, tenants):
                kind = FindingKind.MOVED
            elif suspect.inserted or suspect.sequence > self._covered:
                kind = FindingKind.INSERTED
            elif not suspect.has_event:
                kind = FindingKind.DELETED
            self._tell(kind, suspect.sequence, UUID(bytes=suspect.event))

    def _original_place(self, suspect: _Suspect) -> int | None:
        """Where the leaf stood when it was sealed, if it is one of the places that are not as they were."""
        others = [other for other in self._suspects[:_MOST_COMPARED] if other is not suspect]
        around = range(suspect.sequence - _FARTHEST_SHIFT, suspect.sequence + _FARTHEST_SHIFT + 1)
        places: list[int] = [
            *(other.sequence for other in others),
            *list(self._missing)[:_MOST_COMPARED],
            *around,
        ]
        for place in places:
            if self._was_sealed_as(suspect.row_id, place, suspect.event, suspect.leaf_hash):
                return place
        for other in others:  # the columns were exchanged, the rows stayed where they are
            for leaf_hash in (other.leaf_hash, suspect.leaf_hash):
                if self._was_sealed_as(suspect.row_id, suspect.sequence, other.event, leaf_hash):
                    return other.sequence
        return None

    def _is_of_another(self, suspect: _Suspect, tenants: Sequence[UUID]) -> bool:
        sealed = (suspect.row_id, suspect.sequence, suspect.event, suspect.leaf_hash)
        return any(self._is_sealed(tenant.bytes, *sealed) for tenant in tenants)

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
            self._tell(FindingKind.CHECKPOINT, checkpoint=self.size)
            return root
        if signed == root:
            self._agreed = self.size
            return root
        if not self._altered:
            self._tell(FindingKind.CHECKPOINT, self._agreed + 1, checkpoint=self.size)
        # From here on with what was signed, so that what follows is judged for itself.
        self._frontier = Frontier.parse(self.size, stored.frontier)
        return signed

    def _compare_witnessed(self, root: bytes, *, is_known: bool) -> None:
        agrees = self.witnessed[self.size] == root
        if (agrees and is_known) or self._altered or self._witness_told:
            return
        self._witness_told = not agrees
        sequence = None if agrees else self._last_sighting_before() + 1
        self._tell(FindingKind.WITNESS, sequence, checkpoint=self.size)

    def _last_sighting_before(self) -> int:
        return max((size for size in self.witnessed if size < self.size), default=0)

    def _look_at_the_end(self) -> None:
        """Whether trail, checkpoints and witness end at the same event."""
        end = self.size
        unmet = [checkpoint.tree_size for checkpoint in (self._next, *self._stored) if checkpoint is not None]
        if unmet:
            self._tell(FindingKind.TRUNCATED, end + 1, checkpoint=unmet[-1])
        elif self._sightings:
            self._tell(FindingKind.WITNESS, end + 1, checkpoint=self._sightings[0])
        elif end > self._covered and not self._altered:
            self._tell(FindingKind.TRUNCATED, self._covered + 1)

    def _tell(
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
