"""Keys and signatures, against the vectors of RFC 8032."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conversations.signing import InvalidKey, PublicKey, SigningKey, decode64

# RFC 8032, section 7.1, test 3.
SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def key_of(seed: bytes) -> SigningKey:
    return SigningKey.from_seed(b64encode(seed).decode())


def pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_signature_is_that_of_the_rfc() -> None:
    key = key_of(SEED)

    assert key.public_key.raw == PUBLIC
    assert key.sign(MESSAGE) == SIGNATURE
    assert key.public_key.has_signed(MESSAGE, SIGNATURE)


def test_signature_of_anything_else_does_not_hold() -> None:
    key = PublicKey(PUBLIC)

    assert not key.has_signed(MESSAGE + b"x", SIGNATURE)
    assert not key.has_signed(MESSAGE, SIGNATURE[:-1])
    assert not key.has_signed(MESSAGE, SIGNATURE + b"x")
    assert not key.has_signed(MESSAGE, bytes(64))
    assert not key_of(b"x" * 32).public_key.has_signed(MESSAGE, SIGNATURE)


def test_public_key_is_read_from_base64_and_from_pem() -> None:
    key = PublicKey(PUBLIC)

    assert PublicKey.parse(str(key)) == key
    assert PublicKey.parse(f"  {key}\n") == key
    assert PublicKey.parse(pem(Ed25519PublicKey.from_public_bytes(PUBLIC))) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        b64encode(b"x" * 31).decode(),
        b64encode(b"x" * 33).decode(),
        "-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----",
        generate_private_key(SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    ],
)
def test_text_that_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.parse(text)


@pytest.mark.parametrize(
    "seed", ["", "c2hvcnQ=", "s" * 43, "not base64 at all, but rather long: secret-phrase"]
)
def test_seed_that_is_none_is_refused_and_not_repeated(seed: str) -> None:
    with pytest.raises(InvalidKey) as refused:
        SigningKey.from_seed(seed)

    assert not seed or seed not in str(refused.value)


def test_private_key_does_not_show() -> None:
    shown = repr(key_of(SEED))

    assert SEED.hex() not in shown
    assert b64encode(SEED).decode() not in shown


def test_fingerprint_is_that_of_openssh_style() -> None:
    # printf fc51... | xxd -r -p | openssl dgst -sha256 -binary | base64
    assert PublicKey(PUBLIC).fingerprint == "SHA256:2sBz4BI73qWd2bO9qc9gN/Y6yoJifXq81cSsKd10AD4"


@pytest.mark.parametrize(
    "text",
    [
        "QUI",  # no padding
        "QUJ=",  # unused bits set: a lenient decoder reads the same two bytes as from QUI=
        "QU I=",
        "QUI=\n",
        "QUI=QUI=",
        "Q_I=",
        "QÜI=",
    ],
)
def test_base64_has_one_spelling(text: str) -> None:
    assert decode64("QUI=") == b"AB"
    with pytest.raises(ValueError, match="base64"):
        decode64(text)
