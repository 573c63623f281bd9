"""Files of exports: below `DATA_DIR`, sealed under the key of whom they speak of, gone after a week."""

import os
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from conversations import crypto, ids, keyring
from conversations.enums import KeyOwner
from conversations.exceptions import Expired
from retention.enums import ExportState
from retention.models import ExportJob

LIFETIME = timedelta(days=7)


def store_export(job: ExportJob, data: bytes) -> None:
    """Seal the bytes of a finished export and write them to disk for good. Runs inside a tenant scope."""
    owner = (KeyOwner.CUSTOMER, job.customer_id) if job.customer_id else (KeyOwner.TENANT, job.tenant_id)
    sealed = keyring.seal(job.tenant_id, *owner, data, _aad(job))
    job.file = f"{job.id}.sealed"
    path = _path(job)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
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


def remove_exports(jobs: QuerySet[ExportJob]) -> int:
    """Remove these exports, files first; how many."""
    for job in jobs:
        if job.file:
            _path(job).unlink(missing_ok=True)
    return jobs.delete()[0]


def expire_exports() -> int:
    """Remove the exports of all tenants whose week is over; how many went."""
    return remove_exports(ExportJob.objects.using("ops").filter(expires_at__lte=ids.now()))


def _path(job: ExportJob) -> Path:
    return settings.DATA_DIR / "exports" / Path(job.file).name


def _aad(job: ExportJob) -> bytes:
    return crypto.row_aad(job.tenant_id, ExportJob._meta.db_table, "file", job.id)
