"""Bodies that encryption forbids to read: what was decided of one when it first came holds at every replay."""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.decoding import Unencrypted, Unreadable, concealed


def as_when_it_came(arguments: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """The arguments as they were taken when they came; `name` is this body's own within the run.

    Whether a body can be read depends on the keys and settings of the moment: the order may be replayed by
    others. So a refusal leaves a marker in the history. What was obeyed before encryption was required has none,
    and is obeyed again. Where a key is missing that was there, the order waits until it is back.
    """
    refused = f"refused:{name}"
    if not workflow.unsafe.is_replaying():
        if concealed(arguments) is not None:
            workflow.patched(refused)
        return arguments
    if workflow.patched(refused):
        return arguments if concealed(arguments) is not None else (Unreadable("it could not be when it came"),)
    return in_clear(arguments)


def in_clear(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of what was obeyed once, whatever the settings are today. Raises where a key is missing."""
    for argument in arguments:
        if isinstance(argument, Unreadable) and argument.why is not None:
            raise MissingKey(f"what this order once read cannot be decrypted now: {argument.why}")
    return tuple(argument.body if isinstance(argument, Unencrypted) else argument for argument in arguments)


class MissingKey(Exception):
    """Suspends the order until a worker has the key."""
