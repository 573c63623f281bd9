"""Writes windows after the commit on one thread: no append waits for Redis, and many share a round trip."""

import threading
from collections.abc import Sequence

import structlog

from conversations.backends.configured import window_store
from conversations.backends.values import StoreUnavailable, WindowEntry, WindowKey

log = structlog.get_logger(__name__)

PATIENCE = 0.1  # seconds that somebody waits for what was appended just before


class WindowWriter:
    """Best effort: a push lost with the process or while Redis is down is noticed when the window is read."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[WindowKey, int], list[WindowEntry]] = {}
        self._in_hand: dict[tuple[WindowKey, int], list[WindowEntry]] = {}
        self._lost = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def push(self, key: WindowKey, epoch: int, entries: Sequence[WindowEntry]) -> None:
        """Add messages just committed, soon. Returns at once."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():  # a fork leaves it behind
                self._in_hand = {}
                self._thread = threading.Thread(target=self._run, name="window-writer", daemon=True)
                self._thread.start()
            self._waiting.setdefault((key, epoch), []).extend(entries)
            self._changed.notify_all()

    def flush(self, key: WindowKey) -> bool:
        """Wait until what this process has appended to the session is written, or for `PATIENCE`.

        False if Redis did not take something meanwhile: whoever asks it now would only wait once more.
        """
        with self._changed:
            lost = self._lost
            self._changed.wait_for(lambda: not self._is_pending(key), PATIENCE)
            return self._lost == lost

    def _is_pending(self, key: WindowKey) -> bool:
        return any(key == other for pushes in (self._waiting, self._in_hand) for other, _ in pushes)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._in_hand = {}
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                self._in_hand, self._waiting = self._waiting, {}
            redis = window_store()
            try:
                if redis is not None:
                    redis.push(self._in_hand)
            except StoreUnavailable as error:
                self._lost += 1
                log.info("window.not_written", step="push", reason=error.reason)


writer = WindowWriter()
