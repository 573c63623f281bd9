"""What is looked for. Each detector first asks something cheap that ordinary text answers with no."""

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
