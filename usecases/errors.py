"""What a caller of the use cases may be told; each says it in one line."""


class OrderError(Exception):
    """Nothing was changed, unless a subclass says otherwise."""

    @property
    def reason(self) -> str:
        return str(self)


class InvalidOrder(OrderError):
    """The start body is not what it should be; the reason begins with the field's path."""


class InvalidMessage(OrderError):
    """A message's or query's body is not what it should be; the reason begins with the field's path."""


class OrderConflict(OrderError):
    """The order id was used before, with another body."""


class OrderNotFound(OrderError):
    """No order has this id, or its workflow is long gone."""


class OrderClosed(OrderError):
    """The order has ended and takes no messages any more."""


class Refused(OrderError):
    """The order understood, and says why not."""


class NotAllowed(OrderError):
    """The caller's key may not do this, whatever the order would say; the reason begins with the field's path."""


class Unreachable(OrderError):
    """Temporal, the worker or PostgreSQL did not answer in time.

    What was sent may still have arrived: send it again, with the same order id or update id.
    """
