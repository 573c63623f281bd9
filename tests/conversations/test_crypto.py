import base64
from itertools import combinations
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations import crypto
from conversations.crypto import DataKeyMaterial, MasterKeys
from conversations.exceptions import SealBroken

KEY = DataKeyMaterial(UUID(int=7), bytes(range(32)))
AAD = b"this row"


def encoded(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


@given(st.binary(max_size=2000), st.binary(max_size=100))
def test_unseal_returns_what_was_sealed(plaintext, aad):
    sealed = crypto.seal(plaintext, key=KEY, aad=aad)

    assert crypto.unseal(sealed, key=KEY, aad=aad) == plaintext
    assert crypto.unseal(memoryview(sealed), key=KEY, aad=aad) == plaintext
    assert len(sealed) == len(plaintext) + crypto.SEAL_OVERHEAD


def test_seal_hides_the_plaintext_and_never_repeats_itself():
    plaintext = b"the same words, twice"

    sealed = {crypto.seal(plaintext, key=KEY, aad=AAD) for _ in range(100)}

    assert len(sealed) == 100
    assert not any(plaintext in one for one in sealed)


def test_seal_names_its_key_in_the_open():
    key = DataKeyMaterial(uuid4(), crypto.new_secret())

    sealed = crypto.seal(b"", key=key, aad=AAD)

    assert crypto.key_id(sealed) == crypto.key_id(memoryview(sealed)) == key.id


def test_unseal_refuses_a_thousand_mutations():
    random = Random(20261105)
    sealed = crypto.seal(b"evidence" * 20, key=KEY, aad=AAD)

    for _ in range(1000):
        with pytest.raises(SealBroken):
            crypto.unseal(mutated(sealed, random), key=KEY, aad=AAD)

    assert crypto.unseal(sealed, key=KEY, aad=AAD) == b"evidence" * 20


def mutated(sealed: bytes, random: Random) -> bytes:
    """One changed bit, a cut, an insertion, or two swapped bytes that differ."""
    at = random.randrange(len(sealed))
    match random.randrange(4):
        case 0:
            return sealed[:at] + bytes([sealed[at] ^ 1 << random.randrange(8)]) + sealed[at + 1 :]
        case 1:
            return sealed[:at]
        case 2:
            return sealed[:at] + random.randbytes(1) + sealed[at:]
        case _:
            other = next(i for i in range(len(sealed)) if sealed[i] != sealed[at])
            swapped = bytearray(sealed)
            swapped[at], swapped[other] = sealed[other], sealed[at]
            return bytes(swapped)


def test_unseal_refuses_every_single_flipped_bit():
    sealed = crypto.seal(b"short", key=KEY, aad=AAD)

    for bit in range(len(sealed) * 8):
        flipped = (int.from_bytes(sealed) ^ (1 << bit)).to_bytes(len(sealed))
        with pytest.raises(SealBroken):
            crypto.unseal(flipped, key=KEY, aad=AAD)


@pytest.mark.parametrize(
    ("key", "aad"),
    [
        pytest.param(KEY, b"another row", id="another place"),
        pytest.param(KEY, b"", id="no place"),
        pytest.param(
            DataKeyMaterial(KEY.id, b"\x01" * 31 + b"\x02"), AAD, id="another secret under the same id"
        ),
        pytest.param(DataKeyMaterial(UUID(int=8), KEY.secret), AAD, id="the same secret under another id"),
    ],
)
def test_unseal_refuses(key, aad):
    sealed = crypto.seal(b"text", key=KEY, aad=AAD)

    with pytest.raises(SealBroken):
        crypto.unseal(sealed, key=key, aad=aad)


@pytest.mark.parametrize(
    "garbage", [b"", b"\x01", b"\x01" * 44, b"\x00" * 60, b"\x02" * 60, b"plain text " * 9]
)
def test_key_id_of_something_else_is_refused(garbage):
    with pytest.raises(SealBroken):
        crypto.key_id(garbage)


def test_wrapped_keys_open_only_under_their_parent_and_in_their_row():
    secret, parent = crypto.new_secret(), crypto.new_secret()
    wrapped = crypto.wrap(secret, parent=parent, aad=AAD)

    assert crypto.unwrap(wrapped, parent=parent, aad=AAD) == secret
    assert crypto.unwrap(memoryview(wrapped), parent=parent, aad=AAD) == secret
    with pytest.raises(SealBroken):
        crypto.unwrap(wrapped, parent=crypto.new_secret(), aad=AAD)
    with pytest.raises(SealBroken):
        crypto.unwrap(wrapped, parent=parent, aad=b"another row")


def test_unwrap_refuses_every_single_flipped_bit_and_every_cut():
    parent = crypto.new_secret()
    wrapped = crypto.wrap(crypto.new_secret(), parent=parent, aad=AAD)
    flipped = [
        (int.from_bytes(wrapped) ^ (1 << bit)).to_bytes(len(wrapped)) for bit in range(len(wrapped) * 8)
    ]

    for broken in [*flipped, *(wrapped[:end] for end in range(len(wrapped))), wrapped + b"\x00"]:
        with pytest.raises(SealBroken):
            crypto.unwrap(broken, parent=parent, aad=AAD)


def test_a_sealed_value_is_no_wrapped_key_and_the_reverse():
    sealed = crypto.seal(crypto.new_secret(), key=KEY, aad=AAD)
    wrapped = crypto.wrap(crypto.new_secret(), parent=KEY.secret, aad=AAD)

    with pytest.raises(SealBroken):
        crypto.unwrap(sealed, parent=KEY.secret, aad=AAD)
    with pytest.raises(SealBroken):
        crypto.unseal(wrapped, key=KEY, aad=AAD)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_of_another_length_are_refused(length):
    with pytest.raises(ValueError, match="32 bytes"):
        DataKeyMaterial(uuid4(), bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        crypto.wrap(bytes(length), parent=KEY.secret, aad=AAD)
    with pytest.raises(ValueError, match="32 bytes"):
        crypto.wrap(KEY.secret, parent=bytes(length), aad=AAD)


def test_secrets_are_in_no_repr():
    secret = b"0123456789abcdef0123456789abcdef"

    shown = repr(DataKeyMaterial(uuid4(), secret)) + repr(MasterKeys.parse(f"a:{encoded(secret)}"))

    assert "0123456789abcdef" not in shown


def test_row_aad_differs_wherever_the_place_differs():
    one, two = UUID(int=1), UUID(int=2)
    places = [
        (one, "message", "sealed", one),
        (two, "message", "sealed", one),
        (one, "message", "sealed", two),
        (one, "memory", "sealed", one),
        (one, "message", "summary", one),
        (one, "messages", "ealed", one),
        (one, "", "messagesealed", one),
    ]

    for left, right in combinations(places, 2):
        assert crypto.row_aad(*left) != crypto.row_aad(*right)


def test_hmac_digest_keeps_parts_and_keys_apart():
    digests = [
        crypto.hmac_digest(b"k", "ab", "c"),
        crypto.hmac_digest(b"k", "a", "bc"),
        crypto.hmac_digest(b"k", "abc"),
        crypto.hmac_digest(b"k", "abc", ""),
        crypto.hmac_digest(b"other", "ab", "c"),
    ]

    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 32 for digest in digests)
    assert crypto.hmac_digest(b"k", b"ab", b"c") == digests[0]


def test_hmac_digest_is_hmac_sha256_of_length_and_part():
    # The stored digests of identifiers must stay findable: this value may never change.
    assert (
        crypto.hmac_digest(b"key", "email", "jane@example.org").hex()
        == "53e5580accfd2987795e5bfcd74e8a28d6443e3b60dea781d1c2ea6838ae0bdd"
    )


def test_derive_is_stable_and_differs_by_label_and_secret():
    assert (
        crypto.derive(KEY.secret, "pii").hex()
        == "1fd6bbc7a8690facd7669b5cb3c7033bcc4102457b1c6ac71746d306dcfded19"
    )
    assert crypto.derive(KEY.secret, "pii") != crypto.derive(KEY.secret, "pii2")
    assert crypto.derive(KEY.secret, "pii") != crypto.derive(bytes(32), "pii")


def test_master_keys_wrap_under_the_first_and_unwrap_under_all():
    old, new = crypto.new_secret(), crypto.new_secret()
    secret = crypto.new_secret()
    before = MasterKeys.parse(f"2025:{encoded(old)}")
    after = MasterKeys.parse(f"2026:{encoded(new)}, 2025:{encoded(old)}")

    wrapped_before, wrapped_after = before.wrap(secret, aad=AAD), after.wrap(secret, aad=AAD)

    assert (before.current.id, after.current.id) == ("2025", "2026")
    assert after.unwrap(wrapped_before, by="2025", aad=AAD) == secret
    assert after.unwrap(wrapped_after, by="2026", aad=AAD) == secret
    with pytest.raises(SealBroken):
        before.unwrap(wrapped_after, by="2026", aad=AAD)
    with pytest.raises(SealBroken):
        after.unwrap(wrapped_after, by="2025", aad=AAD)


def test_fingerprints_name_keys_and_hide_them():
    one, two = crypto.new_secret(), crypto.new_secret()

    prints = MasterKeys.parse(f"one:{encoded(one)},two:{encoded(two)}").fingerprints()

    assert set(prints) == {"one", "two"}
    assert prints["one"] != prints["two"]
    assert len(prints["one"]) == 16
    assert prints["one"] not in one.hex()
    assert MasterKeys.parse(f"renamed:{encoded(one)}").current.fingerprint == prints["one"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the id"),
        (encoded(KEY.secret), "the id"),
        (f"a:{encoded(KEY.secret)},", "master key 2"),
        (f":{encoded(KEY.secret)}", "the id"),
        (f"{'x' * 41}:{encoded(KEY.secret)}", "the id"),
        ("a:", "32 bytes"),
        ("a:not base64!", "32 bytes"),
        (f"a:{encoded(KEY.secret[:31])}", "32 bytes"),
        (f"a:{encoded(KEY.secret)},a:{encoded(bytes(32))}", "same id"),
    ],
)
def test_master_keys_that_do_not_parse_say_which_and_not_what(text, reason):
    with pytest.raises(ValueError, match=reason) as raised:
        MasterKeys.parse(text)

    assert encoded(KEY.secret) not in str(raised.value)
