"""Sealing by a customer's key, wrapping that key, and the hashes by which people are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.keyring import Altered, UnknownKey, keyring
from domain.sealing import DataKey, Wrapped, Wrapping, mail_hash, name_hashes, words_of

NONCE = b"n" * 12
KEY = DataKey("k1", b"k" * 32)
OLD = keyring({"old": b"o" * 32}, "tests")
BOTH = keyring({"new": b"n" * 32, "old": b"o" * 32}, "tests")


@given(st.binary(max_size=500), st.text(min_size=1, max_size=60), st.binary(min_size=12, max_size=12))
def test_what_is_sealed_is_opened_by_its_key_for_its_order_alone(content: bytes, order_id: str, nonce: bytes) -> None:
    sealed = KEY.seal(content, order_id, nonce)
    assert KEY.open(sealed, order_id) == content
    for key, bound in ((DataKey("k1", b"K" * 32), order_id), (KEY, f"{order_id}1")):
        with pytest.raises(Altered):
            key.open(sealed, bound)
    for altered in (sealed[:-1], sealed[:5], b"", bytes([sealed[0] ^ 1]) + sealed[1:], sealed[:-1] + b"\0\0"):
        with pytest.raises(Altered):
            KEY.open(altered, order_id)


def test_keys_are_wrapped_by_the_current_key_and_unwrapped_by_any_that_is_known() -> None:
    by_old = Wrapping(OLD).wrap(b"secret", "c1", NONCE)
    assert by_old.by == "old"
    assert b"secret" not in by_old.content
    assert Wrapping(BOTH).unwrap(by_old, "c1") == b"secret"
    assert Wrapping(BOTH).wrap(b"secret", "c1", NONCE).by == "new"
    with pytest.raises(UnknownKey):
        Wrapping(OLD).unwrap(Wrapping(BOTH).wrap(b"secret", "c1", NONCE), "c1")
    with pytest.raises(UnknownKey):
        Wrapping().unwrap(by_old, "c1")
    with pytest.raises(Altered):
        Wrapping(OLD).unwrap(by_old, "c2")


def test_without_a_keyring_or_leave_to_write_keys_are_kept_as_they_are() -> None:
    for wrapping in (Wrapping(), Wrapping(OLD, writes=False)):
        assert wrapping.current is None
        assert wrapping.wrap(b"secret", "c1", NONCE) == Wrapped(b"secret", None)
        assert wrapping.unwrap(Wrapped(b"secret", None), "c1") == b"secret"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ada Lovelace", ("ada", "lovelace")),
        ("  José  Ñandú-Peña ", ("jose", "nandu", "pena")),
        ("O'Neil, STRAẞE", ("o", "neil", "strasse")),
        ("Ada ADA ada", ("ada",)),
        ("王小明", ("王小明",)),
        ("!?", ()),
    ],
)
def test_a_name_is_its_words_without_case_and_accents(name: str, words: tuple[str, ...]) -> None:
    assert words_of(name) == words


def test_hashes_differ_by_key_and_by_what_they_are_of() -> None:
    one, other = b"1" * 32, b"2" * 32
    assert name_hashes(one, "Ada Lovelace") == name_hashes(one, "ÁDA lovelace")
    assert set(name_hashes(one, "Lovelace Ada")) == set(name_hashes(one, "Ada Lovelace"))
    assert mail_hash(one, " Ada@Example.com ") == mail_hash(one, "ada@example.com")
    assert len({*name_hashes(one, "ada"), *name_hashes(other, "ada"), mail_hash(one, "ada")}) == 3
    assert -(2**63) <= mail_hash(one, "ada") < 2**63
