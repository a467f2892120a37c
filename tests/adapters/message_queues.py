"""A message queue in memory, with the promises of `MessageQueue`: a known key is left as it is, sent or not."""

from collections.abc import Iterator
from datetime import datetime

from domain.requests import QueuedMessage


class FakeMessageQueue:
    def __init__(self) -> None:
        self.waiting: dict[str, QueuedMessage] = {}
        self.sent: dict[str, QueuedMessage] = {}

    async def schedule(self, messages: tuple[QueuedMessage, ...]) -> None:
        for message in messages:
            if message.key not in self.sent:
                self.waiting.setdefault(message.key, message)

    async def withdraw(self, order_id: str, key_prefix: str) -> int:
        gone = [
            key for key, message in self.waiting.items() if message.order_id == order_id and key.startswith(key_prefix)
        ]
        for key in gone:
            del self.waiting[key]
        return len(gone)

    def send_until(self, now: datetime) -> Iterator[QueuedMessage]:
        """As the outbox would: what is due, the longest due first."""
        for message in sorted(self.waiting.values(), key=lambda message: message.due_at):
            if message.due_at <= now:
                self.sent[message.key] = self.waiting.pop(message.key)
                yield message
