"""Appends no longer write every index of the session's row: the list by activity is indexed by the hour.

A table with room on its pages keeps a row's versions together, which PostgreSQL calls HOT updates.
"""

from django.db import migrations, models

HOUR = models.Func(models.F("last_message_at"), template="date_bin('1 hour', %(expressions)s, 'epoch')")


class Migration(migrations.Migration):
    dependencies = [("conversations", "0009_append_messages")]

    operations = [
        migrations.RemoveIndex(model_name="session", name="session_last_message"),
        migrations.RunSQL(
            "ALTER TABLE conversations_session SET (fillfactor = 80)",
            "ALTER TABLE conversations_session RESET (fillfactor)",
        ),
        migrations.AddField(
            model_name="session",
            name="last_message_hour",
            field=models.GeneratedField(
                expression=HOUR, output_field=models.DateTimeField(null=True), db_persist=True
            ),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(
                models.F("tenant"),
                models.OrderBy(models.F("last_message_hour"), descending=True, nulls_last=True),
                condition=models.Q(hidden_at__isnull=True),
                name="session_last_message",
            ),
        ),
    ]
