"""What an order leaves in Temporal: its events by type, its steps by name, its bytes."""

import json
from collections import Counter
from typing import Any, NamedTuple

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle


class History(NamedTuple):
    """All of one run."""

    events: Counter[str]
    """By type, as Temporal names them."""

    order: tuple[str, ...]
    """What happened, one word an event, in order: for those who look for events to save."""

    history_bytes: int
    payload_bytes: int
    transitions: int
    """State transitions: how often the server wrote the order's state."""

    @property
    def total(self) -> int:
        return self.events.total()

    @property
    def workflow_tasks(self) -> int:
        return self.events["WORKFLOW_TASK_COMPLETED"]

    @property
    def regular_activities(self) -> int:
        return self.events["ACTIVITY_TASK_SCHEDULED"]

    @property
    def local_activities(self) -> int:
        return self.events["MARKER_RECORDED"]


async def history_of(handle: WorkflowHandle[Any, Any]) -> History:
    info = (await handle.describe()).raw_description.workflow_execution_info
    events = [event async for event in handle.fetch_history_events()]
    return History(
        events=Counter(_type(event) for event in events),
        order=tuple(_word(event) for event in events),
        history_bytes=info.history_size_bytes,
        payload_bytes=sum(_payload_bytes(event) for event in events),
        transitions=info.state_transition_count,
    )


def _type(event: Any) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def _word(event: Any) -> str:
    """The event's type, with the name of what it is about."""
    attributes = getattr(event, event.WhichOneof("attributes"))
    about = ""
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        about = "eagerly" if attributes.eager_execution_accepted else ""
    elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        about = attributes.activity_type.name
    elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
        about = _local_activity(attributes)
    elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
        about = attributes.signal_name
    elif event.event_type == EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
        about = ", ".join(sorted(attributes.search_attributes.indexed_fields))
    elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
        about = attributes.accepted_request.input.name
    elif event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
        about = str(attributes.start_to_fire_timeout.ToTimedelta())
    return f"{_type(event)} {about}".strip()


def _local_activity(marker: Any) -> str:
    """The SDK's core keeps the name in a marker's details; its words are for people only."""
    for payloads in marker.details.values():
        for payload in payloads.payloads:
            try:
                data = json.loads(payload.data)
            except ValueError:
                continue
            if isinstance(data, dict) and "activity_type" in data:
                return str(data["activity_type"])
    return str(marker.marker_name)


def _payload_bytes(message: Message) -> int:
    """The data of every payload in it: of the order's own code, and what the SDK notes of each local step."""
    if isinstance(message, Payload):
        return len(message.data)
    size = 0
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [one for one in value.values() if isinstance(one, Message)]
        elif isinstance(value, Message):
            values = [value]
        else:
            values = list(value)
        size += sum(_payload_bytes(one) for one in values)
    return size
