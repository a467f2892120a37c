"""Minor units as people write amounts: how many of them a currency's unit has."""

from decimal import Decimal, DecimalException

# ISO 4217 list one, the currencies whose minor unit is not a hundredth. CLDR has habits of display instead (no decimals
# for RSD, LBP, ...): used on minor units they would show a hundred times the amount.
_DIGITS = {
    code: digits
    for digits, codes in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for code in codes.split()
}


_DIGITS_MAX = 18
"""Of an amount in minor units: `1e999999` is a number too, of a million digits."""


def minor_digits(currency: str) -> int:
    return _DIGITS.get(currency, 2)


def major_units(amount: int, currency: str) -> Decimal:
    return Decimal(amount).scaleb(-minor_digits(currency))


def amount_text(amount: int, currency: str) -> str:
    """Where nobody's language is known, such as in a timeline: `32.39 USD`."""
    return f"{major_units(amount, currency)} {currency}"


def minor_units(text: str, currency: str) -> int | None:
    """An amount that somebody typed, such as `12.50`; None where it is none, has too many decimals, or is absurd."""
    try:
        value = Decimal(text.strip()).scaleb(minor_digits(currency))
    except DecimalException:
        return None
    if not value.is_finite() or value.adjusted() > _DIGITS_MAX or value != value.to_integral_value():
        return None
    return int(value)
