"""An embedded Milvus Lite in server mode."""

import importlib.util
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from config.embedded.exceptions import EmbeddedError
from config.embedded.process import port_answers


@dataclass(frozen=True)
class MilvusServer:
    """Milvus Lite on loopback, its files below `home`."""

    home: Path
    port: int

    # Its own handler closes the data folder on KeyboardInterrupt only.
    stop_signal = signal.SIGINT

    @property
    def uri(self) -> str:
        """What MILVUS_URI is set to."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Make the data folder."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)

    def command(self) -> list[str]:
        """The foreground command. One worker: with several, concurrent writers break its write-ahead log."""
        if importlib.util.find_spec("milvus_lite") is None:
            raise EmbeddedError(
                "Milvus Lite is not installed.", "Run `uv sync`, or set MILVUS_URI to a Milvus server."
            )
        # Vectors may lag a moment; requests on the same machine should not wait for them.
        server = [
            "nice",
            "-n",
            "5",
            sys.executable,
            "-m",
            "config.embedded.milvus_server",
            "server",
            "--data-dir",
            str(self.home),
        ]
        return [*server, "--host", "127.0.0.1", "--port", str(self.port), "--max-workers", "1"]

    def is_ready(self) -> bool:
        """Whether its port answers; it listens only after its data folder is open."""
        return port_answers("127.0.0.1", self.port)
