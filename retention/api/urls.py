"""Retention's routes below `/api/v1/`."""

from django.urls import path

from conversations.api import path_converters  # noqa: F401  (registers the converters)
from retention.api import archive, audit, erasures, exports, finding, holds, policies, purges

urlpatterns = [
    path("retention/policy", policies.RetentionPolicyView.as_view()),
    path("retention/policy/approve", policies.PolicyApproval.as_view()),
    path("retention/preview", policies.RetentionPreview.as_view()),
    path("purge-runs", purges.PurgeRuns.as_view()),
    path("purge-runs/<id:run_id>", purges.OnePurgeRun.as_view()),
    path("purge-runs/<id:run_id>/confirm", purges.PurgeConfirmation.as_view()),
    path("holds", holds.Holds.as_view()),
    path("holds/<id:hold_id>", holds.OneHold.as_view()),
    path("holds/<id:hold_id>/release", holds.HoldRelease.as_view()),
    path("holds/<id:hold_id>/messages", holds.HeldMessages.as_view()),
    path("erasures", erasures.Erasures.as_view()),
    path("erasures/<id:case_id>", erasures.OneErasure.as_view()),
    path("erasures/<id:case_id>/receipt", erasures.ErasureReceipt.as_view()),
    path("customers/<customer:customer_id>/export", exports.CustomerExport.as_view()),
    path("exports/<id:export_id>", exports.OneExport.as_view()),
    path("exports/<id:export_id>/download", exports.ExportDownload.as_view()),
    path("compliance/find", finding.Find.as_view()),
    path("audit-events", audit.AuditEvents.as_view()),
    path("audit-events/verify", audit.AuditVerifying.as_view()),
    path("audit-events/<id:event_id>/proof", audit.AuditEventProof.as_view()),
    path("archive", archive.Archive.as_view()),
    path("archive/search", archive.ArchiveSearch.as_view()),
    path("archive/<id:record_id>/open", archive.ArchiveOpening.as_view()),
    path("messages/<id:message_id>/reveal", archive.MessageReveal.as_view()),
]
