"""The named choices of portraits."""

from django.db.models import IntegerChoices, TextChoices


class Provenance(TextChoices):
    """The source of a trait. Inference never replaces what was asserted or imported."""

    ASSERTED = "asserted"
    INFERRED = "inferred"
    IMPORTED = "imported"


class Effect(IntegerChoices):
    """What happened to rows that are counted."""

    LEFT = -1  # deleted or erased: counted no more
    PURGED = 0  # gone by the retention policy: still counted, and remembered as such
    CAME = 1


class Work(TextChoices):
    """What has to be done about a customer's portrait."""

    LEARN = "learn"  # by rule, from the record: fast, and takes back what lost its evidence
    DESCRIBE = "describe"  # by the language model: slow, and may fail
