"""Tracking numbers for parcels that no courier will ever see, in the form that UPS gives its own."""

import hashlib

_CODES = {"Standard": "03", "Expedited": "12", "TwoDay": "02", "NextDay": "01"}
"""UPS service codes as they stand in a 1Z number: Ground, 3 Day Select, 2nd Day Air, Next Day Air."""


def ups_number(key: str, method: str) -> str:
    """`1Z`, shipper, service, parcel and a check digit that `domain.tracking_numbers` accepts; follows from the key.

    13 digits of the number come from the key's hash: two keys among a million share one with a chance of 5 %.
    """
    digits = f"{int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % 10**13:013}"
    serial = digits[:6] + _CODES.get(method, "03") + digits[6:]
    return f"1Z{serial}{_check_digit(serial)}"


def _check_digit(serial: str) -> int:
    """UPS: the digits at even places (counted from 1) count twice, and the whole is filled up to a ten."""
    return -sum(int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(serial)) % 10
