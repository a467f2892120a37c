"""Which courier a tracking number belongs to, and whether it was typed right.

Light and without input or output: workflows ask it before they obey `ship`.
"""

import re
from collections.abc import Iterator

from domain.couriers import COURIERS, Courier, Service
from domain.model import Frozen

NUMBER_MAX = 64
CARRIER_MAX = 64


class TrackingNumber(Frozen):
    """A number without its spaces, and what is known of it.

    A courier that is not known has no `service` and no `tracking_url`, and some known ones publish
    no page for a single parcel.
    """

    number: str
    courier_code: str
    courier_name: str
    service: str | None = None
    tracking_url: str | None = None


def parse(number: str, carrier: str | None = None) -> TrackingNumber | None:
    """The number as its courier knows it; None where it cannot be one of the carrier's.

    Without a carrier the answer is a guess, since couriers share forms: the first of the table.
    """
    if carrier is None:
        return _guess(_compact(number))
    if refusal(carrier, number) is not None:
        return None
    courier = _courier(carrier)
    if courier is None:
        name = carrier.strip()
        return TrackingNumber(number="".join(number.split()), courier_code=_code(name), courier_name=name)
    service = next(_fitting(courier, _compact(number)))
    return _known(_compact(number), courier, service)


def refusal(carrier: str, number: str) -> str | None:
    """Why this cannot be a tracking number of the carrier, naming the field; else None.

    A carrier that is not in the table, such as `local-courier`, may use any letters, digits and
    hyphens, at most 64. Codes and names are matched without regard to case, spaces and punctuation.
    """
    if not _code(carrier) or len(carrier) > CARRIER_MAX:
        return f"carrier is empty, has no letters or digits, or is longer than {CARRIER_MAX}"
    plain = "".join(number.split())
    if not plain:
        return "tracking_number is empty"
    if not _PLAIN_NUMBER.fullmatch(plain):
        return f"tracking_number has other than letters, digits and hyphens, or over {NUMBER_MAX}"
    courier = _courier(carrier)
    if courier is None or any(_fitting(courier, plain.upper())):
        return None
    if any(service.has_form(plain.upper()) for service in courier.services):
        return f"tracking_number {plain} has a wrong check digit for {courier.name}"
    return f"tracking_number {plain} does not have the form of any {courier.name} number"


def tracking_url(carrier: str, number: str) -> str | None:
    """The courier's page for this parcel, where it has one that is known."""
    parsed = parse(number, carrier)
    return parsed.tracking_url if parsed else None


_PLAIN_NUMBER = re.compile(rf"[A-Za-z0-9-]{{1,{NUMBER_MAX}}}")


def carrier_name(carrier: str) -> str:
    """As the carrier writes itself, where we know it; else as it was given."""
    courier = _courier(carrier)
    return courier.name if courier else carrier


def _compact(number: str) -> str:
    return "".join(number.split()).upper()


def _code(carrier: str) -> str:
    return re.sub(r"[\W_]+", "_", carrier.strip().lower()).strip("_")


def _courier(carrier: str) -> Courier | None:
    return _BY_NAME.get(_code(carrier).replace("_", ""))


def _fitting(courier: Courier, number: str) -> Iterator[Service]:
    return (service for service in courier.services if service.fits(number))


def _guess(number: str) -> TrackingNumber | None:
    for courier in COURIERS:
        for service in _fitting(courier, number):
            return _known(number, courier, service)
    return None


def _known(number: str, courier: Courier, service: Service) -> TrackingNumber:
    url = courier.url.format(number) if courier.url and service.has_page else None
    return TrackingNumber(
        number=number,
        courier_code=courier.code,
        courier_name=courier.name,
        service=service.name,
        tracking_url=url,
    )


_BY_NAME = {
    _code(name).replace("_", ""): courier
    for courier in COURIERS
    for name in (courier.code, courier.name, *courier.aliases)
}
