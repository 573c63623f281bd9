"""The groups of the back office and what they may do. Later changes are made by people, in the back office."""

from typing import Any

from django.db import migrations

RIGHTS = {
    "read": "Can read conversations, customers and the archive, masked",
    "reveal": "Can reveal originals, giving a reason",
    "find": "Can look for a person by what identifies them",
    "hold": "Can place legal holds and release them",
    "policy": "Can propose and approve retention policies",
    "purge": "Can run and confirm purges",
    "erase": "Can erase people and conversations",
    "export": "Can export evidence and what is held about a person",
    "audit": "Can read, verify and export the audit trail",
    "operate": "Can watch and mend stores, keys and jobs",
    "people": "Can manage people, groups and API keys",
}
RECORDS = ["read", "reveal", "find", "hold", "policy", "purge", "erase", "export", "audit"]
GROUPS = {
    "viewer": ["read"],
    "reviewer": ["read", "reveal", "find", "hold"],
    "records manager": RECORDS,
    "data protection officer": [*RECORDS, "people"],
    "operator": ["audit", "operate"],
}


def seed(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    content_type, _ = (
        apps.get_model("contenttypes", "ContentType")
        .objects.using(alias)
        .get_or_create(app_label="conversations", model="staff")
    )
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    made = {
        codename: permissions.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": meaning}
        )[0]
        for codename, meaning in RIGHTS.items()
    }
    groups = apps.get_model("auth", "Group").objects.using(alias)
    for name, rights in GROUPS.items():
        group, _ = groups.get_or_create(name=name)
        group.permissions.add(*(made[right] for right in rights))


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0002_security"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
