"""Where the `temporal` program comes from: given, on PATH, built once with Go, or downloaded by the SDK."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from localstack.errors import LocalStackError
from localstack.locks import file_lock
from localstack.process import ManagedProcess

SETTING = "OPENORDERS_TEMPORAL_BIN"
SERVER_MIN = (1, 29)

# The newest release that `go install` accepts: later ones carry replace directives, which it refuses.
CLI_VERSION = "1.5.1"
_MODULE = f"github.com/temporalio/cli/cmd/temporal@v{CLI_VERSION}"
_SIGN_OF_LIFE_SECONDS = 10

Say = Callable[[str], None]


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

    home = cache_dir(environ) / f"temporal-cli-{CLI_VERSION}"
    cached = home / "temporal"
    if cached.exists() and refusal_of(cached) is None:
        return cached
    with _only_one(home, say):
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


@contextmanager
def _only_one(home: Path, say: Say) -> Iterator[None]:
    def waiting() -> None:
        say("Another process is building the Temporal server: waiting for it.")

    try:
        home.mkdir(parents=True, exist_ok=True)
        with file_lock(home / "lock", waiting):
            yield
    except PermissionError as error:
        raise LocalStackError(
            f"cannot write to the cache: {error}. Set OPENORDERS_CACHE to a folder of yours"
        ) from error


def _make_whole(
    make: "Callable[[Path, Mapping[str, str], Say], Path]", cached: Path, environ: Mapping[str, str], say: Say
) -> None:
    """Make the program elsewhere and move it into place when it has been seen to work: no half one is ever found."""
    for leftover in cached.parent.glob("unfinished-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(dir=cached.parent, prefix="unfinished-"))
    try:
        made = make(unfinished, environ, say)
        if refusal := refusal_of(made):
            raise LocalStackError(refusal)
        made.chmod(0o755)
        made.replace(cached)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _build(into: Path, environ: Mapping[str, str], say: Say) -> Path:
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise LocalStackError("Go is not installed, so the Temporal server cannot be built")
    say("Building the Temporal server with Go. This is done once and takes 2 to 6 minutes.")
    log = into.parent / "build.log"
    log.unlink(missing_ok=True)
    # GOTOOLCHAIN: an older Go must say that it is too old and not fetch another compiler on the quiet.
    build = ManagedProcess(
        "go install",
        [go, "install", "-v", _MODULE],
        log,
        environ={**environ, "GOTOOLCHAIN": "local", "GOBIN": str(into)},
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
        raise LocalStackError(f"building the Temporal server failed; {log} ends:\n{build.log_tail()}")
    say(f"Built the Temporal server in {time.monotonic() - started:.0f} s.")
    return into / "temporal"


def _progress(log: Path) -> tuple[int, int]:
    lines = log.read_text(errors="replace").splitlines()
    fetched = sum(line.startswith("go: downloading") for line in lines)
    return fetched, sum(not line.startswith("go: ") for line in lines)


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
