"""The built-in detectors. Each begins with a cheap test that ordinary text fails."""

from conversations.pii.detectors.cards import Cards
from conversations.pii.detectors.emails import Emails
from conversations.pii.detectors.ibans import Ibans
from conversations.pii.detectors.ips import Ips
from conversations.pii.detectors.national_ids import ChineseIds, Nrics
from conversations.pii.detectors.phones import Phones
from conversations.pii.detectors.secrets import Secrets
from conversations.pii.detectors.whatsapp import WhatsAppIds
from conversations.pii.values import Detector

DETECTORS: tuple[Detector, ...] = (
    Secrets(),
    Emails(),
    WhatsAppIds(),
    Ibans(),
    ChineseIds(),
    Cards(),
    Nrics(),
    Ips(),
    Phones(),
)

__all__ = ["DETECTORS"]
