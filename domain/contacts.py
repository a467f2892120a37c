"""How a customer or seller is reached: looked up when a mail is sent, never carried by an order's messages."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from domain.model import Frozen
from domain.placing import Address


class Contact(Frozen):
    """A recipient's name, address, IANA time zone and BCP 47 language (`en`, `en-GB`)."""

    name: str
    email: str
    time_zone: str = "UTC"
    language: str = "en"

    @property
    def zone(self) -> ZoneInfo:
        """The zone that dates are shown in: UTC where the name is unknown, since a mail must not wait for that."""
        try:
            return ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):  # no such zone; no such file name; the name of a folder
            return ZoneInfo("UTC")


class CustomerContact(Frozen):
    """All that is known of the person behind an order: for those who may see it, and never in a workflow."""

    name: str
    email: str
    time_zone: str
    address: Address
    earlier_addresses: Mapping[str, Address] = {}
    """By fulfillment, for those that had left before the address was changed."""
