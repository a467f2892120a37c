"""What we sign, so that it needs no row: a customer's link to an order, a session, a cart."""

import hashlib
import hmac
from datetime import timedelta
from typing import Any, Literal

from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from pydantic import SecretStr

Purpose = Literal["order-link", "order-id", "session", "cart", "visit", "flash"]
"""What is signed for one is good for no other."""


class Signatures:
    """By one secret that all web processes and workers share. Another secret makes every link and session invalid."""

    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret.get_secret_value()

    def sign(self, purpose: Purpose, value: Any) -> str:
        """Safe to stand in an address; anybody can read the value in it."""
        return str(URLSafeSerializer(self._secret, salt=purpose).dumps(value))

    def read(self, purpose: Purpose, text: str) -> Any | None:
        """None where it is not signed by us for this."""
        try:
            return URLSafeSerializer(self._secret, salt=purpose).loads(text)
        except BadData:
            return None

    def digest(self, text: str) -> str:
        """The same for the same text; nobody without the secret can try what it is of."""
        return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:24]

    def sign_now(self, purpose: Purpose, value: Any) -> str:
        return str(URLSafeTimedSerializer(self._secret, salt=purpose).dumps(value))

    def read_fresh(self, purpose: Purpose, text: str, max_age: timedelta) -> Any | None:
        """None also where it was signed longer ago than that."""
        try:
            serializer = URLSafeTimedSerializer(self._secret, salt=purpose)
            return serializer.loads(text, max_age=int(max_age.total_seconds()))
        except BadData:
            return None
