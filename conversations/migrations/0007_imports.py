"""What was imported, so that nothing is stored twice."""

import django.db.models.deletion
from django.db import migrations, models

from conversations.schema import SecureTenantTable


class Migration(migrations.Migration):
    dependencies = [("conversations", "0006_gate")]

    operations = [
        migrations.CreateModel(
            name="ImportedRecord",
            fields=[
                ("key", models.BinaryField(primary_key=True, serialize=False)),
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
        SecureTenantTable("conversations_importedrecord", key="key"),
    ]
