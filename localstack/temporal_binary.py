"""Where the `temporal` program comes from: given, on PATH, built once with Go, or downloaded by the SDK."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localstack.errors import LocalStackError
from localstack.go_build import Say, go_build, only_one, unfinished

SETTING = "OPENORDERS_TEMPORAL_BIN"
SERVER_MIN = (1, 29)

CLI_VERSION = "1.5.1"
_MODULE = Path(__file__).parent / "temporal_build"
"""With the release and its hashes, and why its SQLite driver is another one (tools.go)."""

_PACKAGE = "github.com/temporalio/cli/cmd/temporal"
_CACHED = f"temporal-cli-{CLI_VERSION}-2"
"""The number behind it counts up with another build of the same release."""
_WHAT = "the Temporal server"


def find_temporal(environ: Mapping[str, str] = os.environ, say: Say = print) -> Path:
    """A usable `temporal` program; this may take minutes the first time, and says so."""
    if SETTING in environ:
        given = Path(environ[SETTING])
        if refusal := refusal_of(given):
            raise LocalStackError(f"{SETTING} does not lead to a usable temporal program: {refusal}")
        return given

    refusals = []
    if on_path := shutil.which("temporal", path=environ.get("PATH")):
        refusal = refusal_of(Path(on_path))
        if refusal is None:
            return Path(on_path)
        refusals.append(refusal)

    home = cache_dir(environ) / _CACHED
    cached = home / "temporal"
    if cached.exists() and refusal_of(cached) is None:
        return cached
    with only_one(home, _WHAT, say):
        # Whoever held the lock before us may have made it.
        if cached.exists() and refusal_of(cached) is None:
            return cached
        for make in (_build, _download):
            try:
                _make_whole(make, cached, environ, say)
            except LocalStackError as error:
                say(f"{error}")
                refusals.append(str(error))
            else:
                return cached
    raise LocalStackError(
        "found no Temporal server ("
        + "; ".join(refusals)
        + "). Ways out: install Go and run this again, or install the Temporal CLI and put it on PATH, "
        f"or set {SETTING} to a temporal program with server {_dotted(SERVER_MIN)} or later"
    )


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Outside the checkout, so that the next clone need not build again."""
    if own := environ.get("OPENORDERS_CACHE"):
        return Path(own)
    if xdg := environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "openorders"
    return Path(environ.get("HOME") or Path.home()) / ".cache" / "openorders"


def refusal_of(binary: Path) -> str | None:
    """Why this program cannot be used, or None."""
    try:
        answer = subprocess.run(
            [binary, "--version"], check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{binary} does not run: {error}"
    found = re.search(r"Server (\d+)\.(\d+)", answer.stdout)
    if found is None:
        return f"{binary} does not say which server it carries: {(answer.stdout + answer.stderr).strip()[:200]}"
    server = (int(found[1]), int(found[2]))
    if server < SERVER_MIN:
        return f"{binary} carries server {_dotted(server)}, and {_dotted(SERVER_MIN)} is needed"
    return None


def _make_whole(
    make: "Callable[[Path, Mapping[str, str], Say], Path]", cached: Path, environ: Mapping[str, str], say: Say
) -> None:
    """Make the program elsewhere and move it into place when it has been seen to work."""
    with unfinished(cached.parent) as folder:
        made = make(folder, environ, say)
        if refusal := refusal_of(made):
            raise LocalStackError(refusal)
        made.chmod(0o755)
        made.replace(cached)


def _build(into: Path, environ: Mapping[str, str], say: Say) -> Path:
    go_build(_PACKAGE, _MODULE, into / "temporal", into.parent / "build.log", _WHAT, environ, say)
    return into / "temporal"


def _download(into: Path, _: Mapping[str, str], say: Say) -> Path:
    """The SDK offers no download alone: it starts what it has fetched, and we stop that and keep the file."""
    from temporalio.testing import WorkflowEnvironment  # here alone: nothing else in localstack needs the SDK

    async def fetch() -> None:
        environment = await WorkflowEnvironment.start_local(download_dest_dir=str(into))
        await environment.shutdown()

    say("Downloading the Temporal server with the SDK.")
    try:
        # In a thread of its own, for a caller who is in an event loop already.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(lambda: asyncio.run(fetch())).result()
    except RuntimeError as error:
        raise LocalStackError(f"downloading the Temporal server failed: {error}") from error
    found = [path for path in into.rglob("temporal*") if path.is_file()]
    if not found:
        raise LocalStackError("the SDK's download left no temporal program")
    return found[0]


def _dotted(number: tuple[int, int]) -> str:
    return ".".join(map(str, number))


if __name__ == "__main__":
    find_temporal()
