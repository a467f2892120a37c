"""The couriers whose tracking numbers are known: the forms, the checksums and the page of a parcel.

These are facts collected by Jeff Keen and others in https://github.com/jkeen/tracking_number_data
(v1.3.2), written in a form of our own: numbers come here without spaces and in upper case. Of the
Python packages, `tracking-numbers` 0.1.8 (2022) refuses 61 of that collection's 104 valid examples.
The notice of the collection:

MIT License, Copyright (c) 2017 Jeff Keen

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple


class Service(NamedTuple):
    """One kind of number; `pattern` names the parts `serial` and `check` where there is a checksum.

    `lead` goes before a serial that does not begin with it, before the checksum is computed.
    """

    name: str
    pattern: re.Pattern[str]
    checksum: Callable[[str, str], bool] | None = None
    lead: str = ""
    has_page: bool = True

    def has_form(self, number: str) -> bool:
        return self.pattern.fullmatch(number) is not None

    def fits(self, number: str) -> bool:
        match = self.pattern.fullmatch(number)
        if match is None or self.checksum is None:
            return match is not None
        serial = match["serial"]
        if not serial.startswith(self.lead):
            serial = self.lead + serial
        return self.checksum(serial, match["check"])


class Courier(NamedTuple):
    """`url` is the page of one parcel, with `{}` for its number."""

    code: str
    name: str
    services: tuple[Service, ...]
    url: str | None = None
    aliases: tuple[str, ...] = ()


# The six checksums, as in CHECKSUM_ALGORITHMS.md of the collection; Luhn is that of payment cards.


def _mod_7(serial: str, check: str) -> bool:
    return int(serial) % 7 == int(check)


def _mod_10(serial: str, check: str, *, evens: int = 1, odds: int = 1, back: bool = False) -> bool:
    """Places count from 0; with `back` from the right. A letter counts as its ASCII code less 3."""
    total = 0
    for place, char in enumerate(reversed(serial) if back else serial):
        value = int(char) if char.isdigit() else (ord(char) - 3) % 10
        total += value * (odds if place % 2 else evens)
    return -total % 10 == int(check)


def _luhn(serial: str, check: str) -> bool:
    total = 0
    for place, char in enumerate(reversed(serial)):
        total += int(char) if place % 2 else sum(divmod(2 * int(char), 10))
    return -total % 10 == int(check)


def _s10(serial: str, check: str) -> bool:
    rest = 11 - _weighted(serial, (8, 6, 4, 2, 3, 5, 9, 7)) % 11
    return {10: 0, 11: 5}.get(rest, rest) == int(check)


def _mod_11_10(serial: str, check: str, *, weights: tuple[int, ...]) -> bool:
    return _weighted(serial, weights) % 11 % 10 == int(check)


def _mod_37_36(serial: str, check: str) -> bool:
    """ISO/IEC 7064, as in DPD's parcel label specification 2.4.1."""
    rest = 36
    for char in serial:
        rest = (rest + int(char, 36)) % 36 or 36
        rest = rest * 2 % 37
    return (37 - rest) % 36 == int(check, 36)


def _weighted(serial: str, weights: tuple[int, ...]) -> int:
    return sum(int(char) * weight for char, weight in zip(serial, weights, strict=True))


_FEDEX_EXPRESS = partial(_mod_11_10, weights=(3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 1))
_FEDEX_LABEL = partial(_mod_11_10, weights=(1, 7, 3, 1, 7, 3, 1, 7, 3, 1, 7, 3, 1))
_EVENS_3 = partial(_mod_10, evens=3)
_EVENS_3_BACK = partial(_mod_10, evens=3, back=True)
_ODDS_2 = partial(_mod_10, odds=2)
_ODDS_3 = partial(_mod_10, odds=3)


def _form(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts))


def _digits(count: int) -> str:
    """A serial of so many digits and a check digit."""
    return rf"(?P<serial>[0-9]{{{count}}})(?P<check>[0-9])"


# Members of the Universal Postal Union, whose posts issue S10 numbers.
_POSTS = (
    "AE|AF|AG|AL|AM|AO|AR|AT|AU|AZ|BA|BB|BD|BE|BF|BG|BH|BI|BJ|BN|BO|BR|BS|BT|BW|BY|BZ|CA|"
    "CD|CF|CG|CH|CI|CL|CM|CN|CO|CR|CU|CV|CY|CZ|DE|DJ|DK|DM|DO|DZ|EC|EE|EG|ER|ES|ET|FI|FJ|"
    "FR|GA|GB|GD|GE|GH|GM|GN|GQ|GR|GT|GW|GY|HK|HN|HR|HT|HU|ID|IE|IL|IN|IQ|IR|IS|IT|JM|JO|"
    "JP|KE|KG|KH|KI|KM|KN|KP|KR|KW|KZ|LA|LB|LC|LI|LK|LR|LS|LT|LU|LV|LY|MA|MC|MD|ME|MG|MK|"
    "ML|MM|MN|MR|MT|MU|MV|MW|MX|MY|MZ|NA|NE|NG|NI|NL|NO|NP|NR|NZ|OM|PA|PE|PG|PH|PK|PL|PT|"
    "PY|QA|RO|RS|RU|RW|SA|SB|SC|SD|SE|SG|SI|SK|SL|SM|SN|SO|SR|SS|ST|SV|SY|SZ|TD|TG|TH|TJ|"
    "TL|TM|TN|TO|TR|TT|TV|TZ|UA|UG|US|UY|UZ|VA|VC|VE|VN|VU|WS|YE|ZA|ZM|ZW"
)

_S10 = Service(
    "S10",
    _form(r"[A-Z]{2}(?P<serial>[0-9]{8})(?P<check>[0-9])(?:", _POSTS, ")"),
    _s10,
)

# Labels of 22, 26 or 30 digits, after 420 and a ZIP code where the barcode was scanned. UPS, FedEx
# and DHL hand parcels over to USPS for the last mile under these numbers, so they have them too.
_ZIP = r"(?:420[0-9]{5})?"
_ZIP_4 = r"(?:420[0-9]{5}(?:[0-9]{4})?)?"
_IMPB_N = r"(?P<serial>94[0-9]{3}"
_IMPB_C = r"(?P<serial>(?:92[0-9]{3}9|93[0-9]{3}[0-8]|95[0-9]{4})"
_CHECK = r")(?P<check>[0-9])"
_IMPB = (
    Service("USPS IMpb N", _form(_ZIP_4, _IMPB_N, r"[0-9]{16}", _CHECK), _EVENS_3_BACK),
    Service("USPS IMpb N", _form(_ZIP, _IMPB_N, r"[0-9]{20}", _CHECK), _EVENS_3_BACK),
    Service("USPS IMpb N", _form(_IMPB_N, r"9[0-9]{23}", _CHECK), _EVENS_3_BACK),
    Service("USPS IMpb C", _form(_ZIP_4, _IMPB_C, r"[0-9]{15}", _CHECK), _EVENS_3),
    Service("USPS IMpb C", _form(_ZIP, _IMPB_C, r"[0-9]{19}", _CHECK), _EVENS_3),
)

# Without a carrier the first that fits is taken, so where forms overlap the surer one stands first.
COURIERS = (
    Courier("s10", "S10 International Standard", (_S10,)),
    Courier(
        "usps",
        "United States Postal Service",
        (
            *_IMPB,
            Service("USPS 20", _form(_digits(19)), _EVENS_3),
            Service(
                "USPS Legacy",
                _form(_ZIP_4, r"(?P<serial>(?:91)?[0-9]{19}", _CHECK),
                _EVENS_3,
                lead="91",
            ),
            _S10,
        ),
        url="https://tools.usps.com/go/TrackConfirmAction?tLabels={}",
    ),
    Courier(
        "ups",
        "UPS",
        (
            Service("UPS", _form(r"1Z(?P<serial>[0-9A-Z]{15})(?P<check>[0-9])"), _ODDS_2),
            Service("UPS Waybill", _form("[AHJKTV]", _digits(9)), _ODDS_2),
            *_IMPB,
        ),
        url="https://wwwapps.ups.com/WebTracking/track?track=yes&trackNums={}",
        aliases=("United Parcel Service",),
    ),
    Courier(
        "fedex",
        "FedEx",
        (
            Service("FedEx Express (12)", _form(_digits(11)), _FEDEX_EXPRESS),
            Service("FedEx Express (34)", _form("[0-8][0-9]{19}", _digits(13)), _FEDEX_LABEL),
            # A barcode around the tracking number: nothing can be looked up by the whole of it.
            Service(
                "FedEx ASTRA (32)",
                _form("3[0-9]{15}", _digits(11), "[0-9]{4}"),
                _FEDEX_EXPRESS,
                has_page=False,
            ),
            Service("FedEx Ground", _form(_digits(14)), _ODDS_3),
            Service("FedEx Ground (SSCC-18)", _form("[0-9]{2}", _digits(15)), _EVENS_3),
            Service("FedEx Ground 96 (22)", _form("96[0-9]{5}", _digits(14)), _ODDS_3),
            Service("FedEx Ground GSN", _form("96[0-9]{18}", _digits(13)), _FEDEX_LABEL),
            *_IMPB,
        ),
        url="https://www.fedex.com/apps/fedextrack/?tracknumbers={}",
        aliases=("Federal Express",),
    ),
    Courier(
        "dhl",
        "DHL",
        (
            Service("DHL Express", _form(r"(?P<serial>[0-9]{9,10})(?P<check>[0-9])"), _mod_7),
            Service("DHL Express (Piece ID)", _form("J[A-Z]{2,3}[0-9]{9,10}")),
            Service(
                "DHL E-Commerce",
                _form("(?:GM|LX|RX|UV|CN|SG|TH|IN|HK|MY)[0-9][0-9A-Z]{9,38}"),
            ),
            Service("DHL E-Commerce (14)", _form("[0-9]{14}")),
            *_IMPB,
        ),
        url="https://www.dhl.com/en/express/tracking.html?brand=DHL&AWB={}",
        aliases=("DHL Express", "DHL eCommerce"),
    ),
    Courier(
        "canada_post",
        "Canada Post",
        (Service("Canada Post (16)", _form(_digits(15)), _EVENS_3), _S10),
        url="https://www.canadapost-postescanada.ca/track-reperage/en#/search?searchFor={}",
    ),
    Courier(
        "purolator",
        "Purolator",
        (
            Service("Purolator (12)", _form("(?=[0-5])", _digits(11)), _luhn),
            Service("Purolator (alpha + 9)", _form("[A-Z]{3}[0-9]{9}")),
        ),
        url="https://www.purolator.com/en/shipping/tracker?searchValue={}",
    ),
    Courier(
        "dpd",
        "DPD",
        (
            Service("DPD (28)", _form(r"(?P<serial>[0-9]{27})(?P<check>[0-9A-Z])"), _mod_37_36),
            Service("DPD (14)", _form(r"(?P<serial>[0-9]{14})(?P<check>[0-9A-Z])"), _mod_37_36),
        ),
        url="https://www.dpdgroup.com/nl/mydpd/my-parcels/track?lang=en&parcelNumber={}",
    ),
    Courier(
        "ontrac",
        "OnTrac",
        (
            Service("OnTrac", _form("C", _digits(13)), _ODDS_2, lead="4"),
            Service("OnTrac D", _form("D", _digits(13)), _ODDS_2, lead="5"),
        ),
        url="https://www.ontrac.com/tracking/?number={}",
    ),
    Courier(
        "old_dominion",
        "Old Dominion Freight Line",
        (
            Service("Old Dominion", _form("(?=77[78]|072|780)", _digits(10)), _luhn),
            Service("Old Dominion Guaranteed Shipment", _form("(?=80)", _digits(10)), _luhn),
        ),
        url="https://www.odfl.com/us/en/tools/trace-track-ltl-freight/trace.html?proNumbers={}",
    ),
    Courier(
        "amazon",
        "Amazon",
        (
            Service("Amazon Logistics", _form("TB[ACM][0-9]{12}")),
            Service("Amazon International", _form("[ACF][0-9]{10}")),
        ),
        aliases=("Amazon Logistics",),
    ),
    Courier(
        "canpar",
        "Canpar",
        (Service("Canpar (22)", _form("[CDKLSUXZ][0-9]{21}")),),
        url="https://www.canpar.com/en/track/tracking.jsp?reference={}&locale=en",
    ),
    Courier(
        "gofo",
        "GOFO Express",
        (Service("GOFO Express (US)", _form("GFUS[0-9]{14}")),),
        url="https://www.gofoexpress.com/tracking.html?searchID={}",
    ),
    Courier(
        "landmark",
        "Landmark Global LTN",
        (Service("Landmark Global LTN", _form("LTN[0-9]{8}N1")),),
        url="https://track.landmarkglobal.com/?search={}",
        aliases=("Landmark Global",),
    ),
    Courier(
        "lasership",
        "LaserShip",
        (
            Service("LaserShip LX", _form("L[AEHINX][1-3][0-9]{7}")),
            Service("LaserShip 1LS7 (15)", _form("1LS7[12][0-9]{10}")),
            Service("LaserShip 1LS7 (18)", _form("1LS7[12][0-9]{2}01[1-4][0-9]{6}-1")),
            Service("LaserShip 1LSCX (15)", _form("1LSCX[0-9A-Z]{10}")),
        ),
    ),
    Courier(
        "speedee",
        "Spee-Dee Delivery",
        (Service("Spee-Dee (20)", _form("SP[0-9]{18}")),),
        url="https://www.speedeedelivery.com/track/?tracking={}",
        aliases=("Spee-Dee",),
    ),
    Courier(
        "yodel",
        "Yodel",
        (Service("Yodel", _form("JJ?D[0-9]{16}")),),
        url="https://www.yodel.co.uk/tracking/{}",
    ),
    Courier(
        "yunexpress",
        "YunExpress",
        (Service("YunExpress", _form("YT[0-9]{16}")),),
        url="https://www.yuntrack.com/parcelTracking?id={}",
    ),
)
