"""Programs that are built once with Go and kept in the cache, by one process at a time and whole or not at all."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from localstack.errors import LocalStackError
from localstack.locks import file_lock
from localstack.process import ManagedProcess

Say = Callable[[str], None]

_SIGN_OF_LIFE_SECONDS = 10


@contextmanager
def only_one(home: Path, what: str, say: Say) -> Iterator[None]:
    """`home` exists afterwards; raises where the cache is not ours to write."""

    def waiting() -> None:
        say(f"Another process is building {what}: waiting for it.")

    try:
        home.mkdir(parents=True, exist_ok=True)
        with file_lock(home / "lock", waiting):
            yield
    except PermissionError as error:
        raise LocalStackError(
            f"cannot write to the cache: {error}. Set OPENORDERS_CACHE to a folder of yours"
        ) from error


@contextmanager
def unfinished(home: Path) -> Iterator[Path]:
    """A folder to make a program in, so that no half one is ever found; those of killed builds are removed."""
    for leftover in home.glob("unfinished-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=home, prefix="unfinished-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def go_install(package: str, into: Path, what: str, minutes: str, environ: Mapping[str, str], say: Say) -> None:
    """`package` with its version; the program is in `into` afterwards, under the last part of the package's name."""
    say_first = f"Building {what} with Go. This is done once and takes {minutes} minutes."
    arguments = ["install", "-v", package]
    _go(arguments, Path("/"), into.parent / "build.log", what, say_first, {**environ, "GOBIN": str(into)}, say)


def go_build(
    package: str, module: Path, program: Path, log: Path, what: str, environ: Mapping[str, str], say: Say
) -> None:
    """`package` of the module in that folder, such as `./cmd/one`, or of one that it needs, into the file `program`."""
    say_first = f"Building {what} with Go. The first time takes some minutes."
    arguments = ["build", "-v", "-o", str(program), package]
    _go(arguments, module, log, what, say_first, environ, say)


def _go(
    arguments: list[str], folder: Path, log: Path, what: str, say_first: str, environ: Mapping[str, str], say: Say
) -> None:
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise LocalStackError(f"Go is not installed, so {what} cannot be built")
    say(say_first)
    log.unlink(missing_ok=True)
    # GOTOOLCHAIN: an older Go must say that it is too old and not fetch another compiler on the quiet.
    build = ManagedProcess(
        f"go {arguments[0]}", [go, *arguments], log, environ={**environ, "GOTOOLCHAIN": "local"}, folder=folder
    )
    started = time.monotonic()
    try:
        build.start()
        while not build.ends_within(_SIGN_OF_LIFE_SECONDS):
            fetched, compiled = _progress(log)
            say(f"  {time.monotonic() - started:4.0f} s: {fetched} modules fetched, {compiled} packages compiled")
    finally:
        build.kill_group()
    if build.exit_code != 0:
        raise LocalStackError(f"building {what} failed; {log} ends:\n{build.log_tail()}")
    say(f"Built {what} in {time.monotonic() - started:.0f} s.")


def _progress(log: Path) -> tuple[int, int]:
    lines = log.read_text(errors="replace").splitlines()
    fetched = sum(line.startswith("go: downloading") for line in lines)
    return fetched, sum(not line.startswith("go: ") for line in lines)
