"""Making changes of a folder durable."""

import os
from pathlib import Path


def flush_folder(folder: Path) -> None:
    """Make the names of files just created or renamed in the folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
