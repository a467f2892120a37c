"""Logs for people or, one JSON object a line, for machines; fields come in `extra`."""

import json
import logging
import sys
from datetime import UTC, datetime

from temporalio import activity, workflow

from usecases.settings import Settings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OF_TEMPORAL = frozenset({"temporal_workflow", "temporal_activity", "temporal_log"})
_ORDER = "order:"
"""What the workflow id of an order begins with."""


def set_up_logging(settings: Settings) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if settings.log_json else _Lines())
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Below that the SDK logs every refusal with its text, which may repeat what somebody has typed.
    logging.getLogger("temporalio").setLevel(max(logging.INFO, logging.getLogger().level))
    # As fields and not as a dictionary at the end of the text.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What was given in `extra`, and which order it is about where a workflow or activity speaks.

    Also where it is somebody they call who speaks: a store or an adapter knows of no order.
    """
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD | _OF_TEMPORAL}
    told = [getattr(record, name, None) for name in _OF_TEMPORAL]
    told.append(getattr(getattr(record, "temporal_log", None), "fields", None))  # of the core
    workflow_ids = [one["workflow_id"] for one in told if isinstance(one, dict) and "workflow_id" in one]
    if not workflow_ids and activity.in_activity():
        workflow_ids = [activity.info().workflow_id]
    if not workflow_ids and workflow.in_workflow():
        workflow_ids = [workflow.info().workflow_id]
    for workflow_id in workflow_ids[:1]:
        if str(workflow_id).startswith(_ORDER):
            fields.setdefault("order_id", str(workflow_id).removeprefix(_ORDER))
        else:
            fields["workflow_id"] = workflow_id
    if activity.in_activity():
        fields.setdefault("activity", activity.info().activity_type)
        fields.setdefault("attempt", activity.info().attempt)
    return fields


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{at} {record.levelname:<7} {record.name}: {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
