"""How fast conversations come in: messages a second of `import_conversations`, and whether its memory stays flat.

    uv run python -m benchmarks.imports [--messages 50000] [--turns 20]

Starts a whole installation, writes JSON Lines of two sizes and imports both through the command, as an operator does.
Beside it stands the processor time that the command itself took: on a busy machine the rate says less than that.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.appends import TEXT
from benchmarks.installation import ROOT, Installation, installation

MEBIBYTE = 1024


def write_file(path: Path, messages: int, turns: int) -> None:
    """Sessions of so many turns each, a customer for every five of them."""
    start = datetime.now(UTC) - timedelta(days=20)
    with path.open("w") as file:
        for number in range(messages):
            session = number // turns
            line = {
                "session_id": f"{path.stem}-{session}",
                "customer_id": f"{path.stem}-{session // 5}",
                "external_id": f"m{number}",
                "role": "assistant" if number % 2 else "user",
                "content": TEXT[number % 97 :]
                if number % 3
                else f"Where is order {number}? I paid on Monday.",
                "intent": "order" if number % 4 else None,
                "metadata": {"channel": "bench"},
                "created_at": (start + timedelta(seconds=number)).isoformat(),
            }
            file.write(json.dumps(line) + "\n")


def run(installed: Installation, path: Path, tenant: str) -> tuple[float, float, int]:
    """Seconds, processor seconds and the largest size in MiB of the command."""
    command = [sys.executable, "manage.py", "import_conversations", str(path), "--tenant", tenant]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    measured = ["/usr/bin/env", "python3", "-c", _MEASURED, *command, "--format", "jsonl", "--json"]
    done = subprocess.run(
        measured, cwd=ROOT, env=installed.environment, check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(done.stdout.splitlines()[0])
    if report["errors"] or report["stored"] != report["messages"]:
        raise RuntimeError(done.stdout[:500])
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{report['messages']:,} messages: {report['messages'] / report['seconds']:,.0f} messages/s "
        f"({report['seconds']:.1f} s, with the start of the command {seconds:.1f} s)"
    )
    return report["seconds"], processor, int(done.stdout.splitlines()[1]) // MEBIBYTE


# The largest size of a child, told by a process that has no other.
_MEASURED = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); sys.stdout.flush(); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    with installation() as installed, tempfile.TemporaryDirectory() as folder:
        installed.manage("create_tenant", "bench")
        sizes = []
        for name, messages in (("small", options.messages // 10), ("large", options.messages)):
            path = Path(folder, f"{name}.jsonl")
            write_file(path, messages, options.turns)
            _, processor, size = run(installed, path, "bench")
            print(f"  {1e6 * processor / messages:.0f} us of processor a message, {size} MiB at most")
            sizes.append(size)
    print(f"memory at ten times the file: {sizes[1] / sizes[0]:.2f}x")


if __name__ == "__main__":
    main()
