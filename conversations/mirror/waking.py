"""Debounced wake-ups of a task: one for many changes, and no request waits for it."""

import threading
import time

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

# Seconds between two wake-ups of one process. The first one goes out at once; under load a pass follows the appends of
# half a second together, and writes the last chapter of each session once instead of once for every few messages.
INTERVAL = 0.5


class Waker:
    """A daemon thread that tells Celery, at most once an interval, that there is something for a task to do."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Returns at once. Best effort: the work is recorded in PostgreSQL, and beat looks for it too."""
        self._asked.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=f"waker-{self._task}", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            try:
                current_app.send_task(self._task, ignore_result=True, retry=False)
            except (OSError, OperationalError) as error:
                log.info("task.wake_failed", task=self._task, error=type(error).__name__)
                time.sleep(1)
            time.sleep(INTERVAL)


wake = Waker("conversations.drain_mirror").wake
