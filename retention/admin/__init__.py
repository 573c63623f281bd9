"""The pages of retention. Loaded by Django's admin when the apps are ready."""

from django.contrib import admin

from conversations.admin.panels import HomePanel, Watch, home_panels, watches
from conversations.staff.rights import Right
from retention.admin.archive import Archive, ArchivedPage
from retention.admin.audit import Audit, EventPage, ExportAudit, VerifyAudit
from retention.admin.customers import CustomerPage, Customers
from retention.admin.erasures import DownloadReceipt, Erase, ErasurePage, Erasures, VerifyReceipt
from retention.admin.exports import DownloadExport, ExportCustomer, ExportEvidence, ExportPage, Exports
from retention.admin.holds import HoldPage, Holds, PlaceHold
from retention.admin.policies import ApprovePolicy, Retention
from retention.admin.purges import PurgeRunPage, PurgeRuns, RunPurge
from retention.admin.transcripts import TranscriptPage
from retention.admin.watching import read_calendar, read_classes, watch_exports, watch_promises

watches.append(Watch(Right.READ, watch_promises))
watches.append(Watch(Right.EXPORT, watch_exports))
home_panels.append(HomePanel("admin/calendar_panel.html", read_calendar))
home_panels.append(HomePanel("admin/storage_panel.html", read_classes))
admin.site.add_pages(
    [
        ("conversations/<uuid:session_id>/", TranscriptPage, "transcript"),
        ("conversations/<uuid:session_id>/erase/", Erase, "erase-session"),
        ("customers/", Customers, "customers"),
        ("customers/<uuid:customer_id>/", CustomerPage, "customer"),
        ("customers/<uuid:customer_id>/erase/", Erase, "erase-customer"),
        ("retention/", Retention, "retention"),
        ("retention/<int:version>/approve/", ApprovePolicy, "approve-policy"),
        ("purge-runs/", PurgeRuns, "purge-runs"),
        ("purge-runs/run/<str:record_class>/", RunPurge, "run-purge"),
        ("purge-runs/<uuid:run_id>/", PurgeRunPage, "purge-run"),
        ("archive/", Archive, "archive"),
        ("archive/<uuid:record_id>/", ArchivedPage, "archived"),
        ("holds/", Holds, "holds"),
        ("holds/place/", PlaceHold, "place-hold"),
        ("holds/<uuid:hold_id>/", HoldPage, "hold"),
        ("erasures/", Erasures, "erasures"),
        ("erasures/<uuid:case_id>/", ErasurePage, "erasure"),
        ("erasures/<uuid:case_id>/receipt/", DownloadReceipt, "receipt"),
        ("customers/<uuid:customer_id>/export/", ExportCustomer, "export-customer"),
        ("exports/", Exports, "exports"),
        ("exports/evidence/", ExportEvidence, "export-evidence"),
        ("exports/<uuid:export_id>/", ExportPage, "export"),
        ("exports/<uuid:export_id>/download/", DownloadExport, "download-export"),
        ("audit/", Audit, "audit"),
        ("audit/verify/", VerifyAudit, "verify-audit"),
        ("audit/export.<str:form>", ExportAudit, "export-audit"),
        ("audit/<uuid:event_id>/", EventPage, "audit-event"),
        ("verify-receipt/", VerifyReceipt, "verify-receipt"),
    ]
)
