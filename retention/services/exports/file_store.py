"""Files of exports: below `DATA_DIR`, sealed under the key of the person they are about, deleted after a week."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from conversations import crypto, ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import Expired
from retention.enums import ExportState
from retention.models import ExportJob

LIFETIME = timedelta(days=7)
UNFINISHED = "unfinished"  # the folder in which exports are made
LONGEST_WORK = timedelta(hours=1)  # older working folders were left behind by a process that died


def store_export(job: ExportJob, data: bytes) -> None:
    """Seal the bytes of a finished export and write them to disk for good. Runs inside a tenant scope."""
    owner = (KeyOwner.CUSTOMER, job.customer_id) if job.customer_id else (KeyOwner.TENANT, job.tenant_id)
    sealed = keyring.seal(job.tenant_id, *owner, data, _aad(job))
    job.file = f"{job.id}.sealed"
    path = _path(job)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())


def open_export(job: ExportJob) -> bytes:
    """What was exported; Expired when its week is over, KeyDestroyed after an erasure."""
    if job.state != ExportState.DONE or job.expires_at <= ids.now():
        raise Expired
    try:
        sealed = _path(job).read_bytes()
    except FileNotFoundError:
        raise Expired from None
    return keyring.unseal(job.tenant_id, sealed, _aad(job))


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder to make an export in: its files are in clear, and gone when the block ends."""
    home = settings.DATA_DIR / UNFINISHED
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_exports(jobs: QuerySet[ExportJob]) -> int:
    """Remove these exports, files first; how many. In a transaction: one that is just being stored is waited for."""
    found = list(jobs.select_for_update())
    for job in found:
        if job.file:
            _path(job).unlink(missing_ok=True)
    return jobs.filter(id__in=[job.id for job in found]).delete()[0]


def expire_exports() -> int:
    """Remove the exports of all tenants whose week is over, and what dead processes left; how many exports went."""
    for folder in (settings.DATA_DIR / UNFINISHED).glob("*"):
        if folder.stat().st_mtime < time.time() - LONGEST_WORK.total_seconds():
            shutil.rmtree(folder, ignore_errors=True)
    with transaction.atomic(using="ops"):
        return remove_exports(ExportJob.objects.using("ops").filter(expires_at__lte=ids.now()))


def _path(job: ExportJob) -> Path:
    return settings.DATA_DIR / "exports" / Path(job.file).name


def _aad(job: ExportJob) -> bytes:
    return crypto.row_aad(job.tenant_id, ExportJob._meta.db_table, "file", job.id)
