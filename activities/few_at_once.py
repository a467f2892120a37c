"""A limit for what is tried locally of an outside party: one that hangs must not take the slots of all other steps."""

from types import TracebackType

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory


class FewAtOnce:
    """Use as `with` around a call. Raises an error that is not tried again where too many are inside already."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= self._most:
            raise ApplicationError(
                f"{self._inside} calls wait for an answer already",
                type="TooManyAtOnce",
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            )
        self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
