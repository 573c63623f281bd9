"""What `up` was asked for."""

import argparse
import errno
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.embedded.environment import USUAL_FOLDER
from config.embedded.exceptions import EmbeddedError
from config.embedded.process import bind_error, free_port

_HELP = """Starts PostgreSQL, Redis, Milvus Lite, the worker and the web server, looks after them, and stops
them on Ctrl-C. A server named by DATABASE_URL, REDIS_URL, ELASTICSEARCH_URL or MILVUS_URI is used instead of
started; MILVUS_URI set to nothing leaves Milvus out."""


@dataclass(frozen=True)
class Options:
    """The command line of `up`."""

    demo: bool
    data: Path
    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the web server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def reachable_host(self) -> str:
        """A host by which this machine itself reaches the web server."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """Where the web server answers."""
        host = self.reachable_host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def parse(argv: Sequence[str], environ: Mapping[str, str], base_dir: Path) -> Options:
    """The options; SystemExit 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="manage.py up", description=_HELP)
    parser.add_argument("--demo", action="store_true", help="load sample tenants with their conversations")
    parser.add_argument("--data", metavar="DIR", help=f"where everything is kept (default: {USUAL_FOLDER})")
    parser.add_argument("--port", type=int, default=8000, help="of the web server (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="it listens on (default: %(default)s)")
    found = parser.parse_args(argv)
    if not 0 <= found.port <= 65_535:
        parser.error(f"--port {found.port} is not a port")
    data = Path(found.data or environ.get("DATA_DIR") or base_dir / USUAL_FOLDER)
    return Options(demo=found.demo, data=data.resolve(), host=found.host, port=found.port or free_port())


def refuse_taken_address(options: Options) -> None:
    """EmbeddedError when the web server could not listen where it should."""
    error = bind_error(options.host, options.port)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        raise EmbeddedError(
            f"Port {options.port} on {options.host} is in use by another program.",
            f"Stop that program, or choose another port: --port {free_port(options.port + 1)}.",
        )
    if error.errno == errno.EACCES:
        raise EmbeddedError(
            f"Port {options.port} may not be opened by this user.", "Choose one from 1024 up with --port."
        )
    raise EmbeddedError(
        f"Nothing can listen on {options.host}: {error.strerror or error}.",
        "Choose another address with --host.",
    )


def documented_variables(base_dir: Path) -> set[str]:
    """The names of every variable the product reads, from the example that documents them."""
    try:
        example = (base_dir / ".env.example").read_text()
    except OSError:
        return set()
    return set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]*)=", example, re.MULTILINE))
