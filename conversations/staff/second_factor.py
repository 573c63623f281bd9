"""Second factors: who has one, who needs one, and how their secrets are stored."""

from base64 import b64decode, b64encode
from uuid import UUID

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings

from conversations import crypto, installation
from conversations.models import Staff

# Recovery codes are a way back in for who has one of these, and no factor by themselves.
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
_KEY_ID = UUID(int=0)  # the installation has one key for this purpose


class SecondFactorAdapter(DefaultMFAAdapter):
    """allauth's adapter, with secrets sealed in the database; nobody can remove a last factor that they need."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "cannot_delete_authenticator": "This is your last second factor, and you need one. Set up another one first.",
    }

    def encrypt(self, text: str) -> str:
        return b64encode(crypto.seal(text.encode(), key=_key(), aad=b"authenticator")).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.unseal(b64decode(encrypted_text), key=_key(), aad=b"authenticator").decode()

    def get_totp_issuer(self) -> str:
        return "Remembrancer"

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        if not settings.REQUIRE_MFA or authenticator.type not in FACTORS:
            return True
        others = Authenticator.objects.filter(user_id=authenticator.user_id, type__in=FACTORS)
        return others.exclude(pk=authenticator.pk).exists()


def lacks_factor(person: Staff) -> bool:
    """Whether they have to set up a second factor before anything else."""
    return (
        settings.REQUIRE_MFA
        and not Authenticator.objects.filter(user_id=person.pk, type__in=FACTORS).exists()
    )


def _key() -> crypto.DataKeyMaterial:
    return crypto.DataKeyMaterial(_KEY_ID, installation.secret("second factors"))
