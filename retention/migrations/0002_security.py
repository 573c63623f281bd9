"""Row-level security and grants: `app` adds and changes, only what has to end may be deleted."""

from django.db import migrations

from conversations.schema import MatchIdAndTime, SecureTenantTable

KEPT = "SELECT, INSERT, UPDATE"
RUN = {"run_id": "retention_purgerun"}


class Migration(migrations.Migration):
    dependencies = [("retention", "0001_initial")]

    operations = [
        SecureTenantTable("retention_retentionpolicy", app=KEPT),
        SecureTenantTable("retention_legalhold", app=KEPT),
        SecureTenantTable("retention_archiverecord"),
        SecureTenantTable("retention_purgerun", app=KEPT),
        SecureTenantTable("retention_purgebatch", app="SELECT, INSERT", references=RUN),
        SecureTenantTable("retention_purgedrange", app="SELECT", references=RUN),
        SecureTenantTable("retention_erasurecase", app=KEPT),
        SecureTenantTable("retention_erasuretask", app=KEPT, references={"case_id": "retention_erasurecase"}),
        SecureTenantTable("retention_exportjob"),
        SecureTenantTable("retention_auditcheckpoint", app="SELECT", ops="SELECT, INSERT"),
        MatchIdAndTime("retention_archiverecord"),
    ]
