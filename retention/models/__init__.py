from retention.models.archive import ArchiveRecord
from retention.models.audit import AuditCheckpoint
from retention.models.erasures import DeferredRecords, ErasureCase, ErasureTask, TenantRemoval
from retention.models.exports import ExportJob
from retention.models.holds import LegalHold
from retention.models.policies import RetentionPolicy
from retention.models.purges import PurgeBatch, PurgedRange, PurgeRun

__all__ = [
    "ArchiveRecord",
    "AuditCheckpoint",
    "DeferredRecords",
    "ErasureCase",
    "ErasureTask",
    "ExportJob",
    "LegalHold",
    "PurgeBatch",
    "PurgeRun",
    "PurgedRange",
    "RetentionPolicy",
    "TenantRemoval",
]
