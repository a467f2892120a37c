"""Sealing by keys with ids: nothing opens what it should not, and no error repeats a key."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.keyring import Altered, BadKeys, Sealed, UnknownKey, keyring, read_keys, written

OLD, NEW = b"o" * 32, b"n" * 32
NONCE = b"0123456789ab"
BOTH = keyring({"new": NEW, "old": OLD}, "tests")
FORMER = keyring({"old": OLD}, "tests")


@given(content=st.binary(max_size=200), bound=st.binary(max_size=40), nonce=st.binary(min_size=12, max_size=12))
def test_what_was_sealed_opens_again(content: bytes, bound: bytes, nonce: bytes) -> None:
    assert BOTH.open(BOTH.seal(content, bound, nonce), bound) == content


def test_a_retired_key_still_opens_and_the_current_one_seals() -> None:
    assert BOTH.open(FORMER.seal(b"hello", b"", NONCE), b"") == b"hello"
    assert BOTH.seal(b"hello", b"", NONCE).key_id == "new"
    with pytest.raises(UnknownKey, match="new"):
        FORMER.open(BOTH.seal(b"hello", b"", NONCE), b"")


@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_one_bit_changed_anywhere_is_seen(position: int, bit: int) -> None:
    sealed = BOTH.seal(b"a name and an address", b"bound", NONCE)
    changed = bytearray(sealed.content)
    changed[position % len(changed)] ^= 1 << bit
    with pytest.raises(Altered):
        BOTH.open(Sealed("new", bytes(changed)), b"bound")


def test_it_opens_for_nothing_else() -> None:
    sealed = BOTH.seal(b"hello", b"bound", NONCE)
    for ring, found, bound in (
        (BOTH, sealed, b"else"),
        (BOTH, Sealed("old", sealed.content), b"bound"),
        (BOTH, Sealed("new", b""), b"bound"),
        (BOTH, Sealed("new", sealed.content[:20]), b"bound"),
        (keyring({"new": NEW}, "another use"), sealed, b"bound"),
    ):
        with pytest.raises(Altered):
            ring.open(found, bound)


def test_keys_are_read_from_one_line_or_many() -> None:
    one, two = written("2026-11", NEW), written("2025-11", OLD)
    expected = {"2026-11": NEW, "2025-11": OLD}
    assert read_keys(f"{one},{two}") == expected
    assert read_keys(f"# the current one\n {one} # of November\n\n{two},\n") == expected
    assert next(iter(read_keys(f"{one},{two}"))) == "2026-11"


SECRET = base64.b64encode(b"s" * 32).decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no key"),
        ("# nothing", "there is no key"),
        (SECRET, "key 1 must be like"),
        (f"={SECRET}", "key 1 must be like"),
        (f"a b={SECRET}", "key 1 must be like"),
        (f"one={SECRET},one={SECRET}", "key 2 has the id of an earlier one"),
        (f"one={SECRET[:-3]}!!!", "key 1 is no base64"),
        (f"one={SECRET[:20]}", "key 1 has 15 bytes instead of 32"),
    ],
)
def test_wrong_keys_are_named_by_number_and_not_repeated(text: str, words: str) -> None:
    with pytest.raises(BadKeys, match=words) as error:
        read_keys(text)
    assert SECRET[:20] not in str(error.value)
    assert "sss" not in repr(keyring({"one": b"s" * 32}, "tests"))
