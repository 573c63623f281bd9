"""The import ledger by (tenant, key) alone: a second unique index on the key cost each imported record one more entry."""

import django.db.models.deletion
from django.db import migrations, models

FORWARDS = """
    ALTER TABLE conversations_importedrecord
        DROP CONSTRAINT conversations_importedrecord_pkey,
        DROP CONSTRAINT conversations_importedrecord_tenant_key,
        ADD CONSTRAINT conversations_importedrecord_pkey PRIMARY KEY (tenant_id, key)
"""
BACKWARDS = """
    ALTER TABLE conversations_importedrecord
        DROP CONSTRAINT conversations_importedrecord_pkey,
        ADD CONSTRAINT conversations_importedrecord_pkey PRIMARY KEY (key),
        ADD CONSTRAINT conversations_importedrecord_tenant_key UNIQUE (tenant_id, key)
"""


class Migration(migrations.Migration):
    dependencies = [("conversations", "0011_mirrorevent_unanswered")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FORWARDS, BACKWARDS)],
            # Django cannot alter a primary key into a composite one.
            state_operations=[
                migrations.DeleteModel("ImportedRecord"),
                migrations.CreateModel(
                    name="ImportedRecord",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "tenant_id", "key", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("key", models.BinaryField()),
                        ("object_id", models.UUIDField()),
                        (
                            "tenant",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                to="conversations.tenant",
                            ),
                        ),
                    ],
                ),
            ],
        )
    ]
