"""No carrier is connected: sellers type the numbers of labels bought elsewhere, and scans come in as signals."""

from domain.progress import Follow
from domain.requests import LabelOutcome, LabelRequest


class ManualCarrier:
    """Satisfies `CarrierPort`."""

    async def buy_label(self, request: LabelRequest) -> LabelOutcome:
        return LabelOutcome(
            refused_because="no carrier is connected to buy labels from: ship with a carrier and tracking number"
        )

    async def void_label(self, order_id: str, key: str, carrier: str, tracking_number: str) -> bool:
        """False: whoever bought the label must give it back."""
        return False

    async def follow(self, order_id: str, parcel: Follow) -> None:
        """Nothing to ask for: `carrier_event` comes from whoever watches the parcel."""
