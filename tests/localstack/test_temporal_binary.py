"""Finding and building the Temporal server, with a stand-in for Go: the real build takes minutes."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from localstack.errors import LocalStackError
from localstack.temporal_binary import _MODULE, CLI_VERSION, cache_dir, find_temporal

GOOD = 'echo "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"'
OLD = 'echo "temporal version 1.0.0 (Server 1.24.2, UI 2.1.0)"'


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A machine with a bare PATH and an empty cache."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    return {"PATH": f"{bin_dir}:/usr/bin:/bin", "HOME": str(tmp_path), "OPENORDERS_CACHE": str(tmp_path / "cache")}


def go(tmp_path: Path, body: str) -> None:
    script(tmp_path / "bin" / "go", body)


def fake_build(tmp_path: Path, before: str = "") -> str:
    """A `go build` that notes that it ran, and writes its program in two halves, as a linker does."""
    return f"""
echo "$@ $GOTOOLCHAIN" >> {tmp_path}/builds
{before}
printf '#!/bin/sh\\n' > "$4"
echo '{GOOD}' >> "$4"
chmod +x "$4"
"""


def cached(environ: Mapping[str, str]) -> Path:
    return cache_dir(environ) / "temporal-cli-1.5.1-2" / "temporal"


def test_a_given_program_is_used_before_one_on_path(tmp_path: Path, environ: dict[str, str]) -> None:
    on_path = script(tmp_path / "bin" / "temporal", GOOD)
    assert find_temporal(environ) == on_path
    given = script(tmp_path / "given" / "temporal", GOOD)
    assert find_temporal({**environ, "OPENORDERS_TEMPORAL_BIN": str(given)}) == given


@pytest.mark.parametrize(("body", "why"), [(OLD, "carries server 1.24"), ("exit 1", "does not say which server")])
def test_a_given_program_that_cannot_be_used_is_an_error(
    tmp_path: Path, environ: dict[str, str], body: str, why: str
) -> None:
    given = script(tmp_path / "given" / "temporal", body)
    with pytest.raises(LocalStackError, match=why):
        find_temporal({**environ, "OPENORDERS_TEMPORAL_BIN": str(given)})


def test_too_old_a_program_on_path_is_passed_over_and_one_is_built(tmp_path: Path, environ: dict[str, str]) -> None:
    script(tmp_path / "bin" / "temporal", OLD)
    go(tmp_path, fake_build(tmp_path))
    said: list[str] = []
    assert find_temporal(environ, said.append) == cached(environ)
    assert "takes some minutes" in said[0]
    assert find_temporal(environ, said.append) == cached(environ)
    (build,) = (tmp_path / "builds").read_text().splitlines()
    assert build.startswith("build -v -o ")
    assert build.endswith("/temporal github.com/temporalio/cli/cmd/temporal local")


def test_the_module_that_is_built_needs_that_release_and_a_mended_driver() -> None:
    needed = dict(re.findall(r"^\s*(?:require )?(\S+) v(\S+)", (_MODULE / "go.mod").read_text(), re.MULTILINE))
    assert needed["github.com/temporalio/cli"] == CLI_VERSION
    assert tuple(map(int, needed["modernc.org/sqlite"].split("."))) >= (1, 41, 0)


def test_two_builds_at_once_are_one_build(tmp_path: Path, environ: dict[str, str]) -> None:
    # The build goes on until the other process has said that it waits.
    go(tmp_path, fake_build(tmp_path, before=f"until [ -e {tmp_path}/waits ]; do sleep 0.05; done"))

    def notice(line: str) -> None:
        if "waiting for it" in line:
            (tmp_path / "waits").touch()

    found: list[Path] = []
    finders = [threading.Thread(target=lambda: found.append(find_temporal(environ, notice))) for _ in range(2)]
    for finder in finders:
        finder.start()
    for finder in finders:
        finder.join()
    assert found == [cached(environ)] * 2
    assert len((tmp_path / "builds").read_text().splitlines()) == 1


def test_a_build_cut_short_leaves_nothing_half_and_the_next_one_is_whole(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    go(tmp_path, f'echo half > "$4"; touch {tmp_path}/under-way; exec sleep 1000')
    builder = subprocess.Popen(
        [sys.executable, "-m", "localstack.temporal_binary"], env={**os.environ, **environ}, stdout=subprocess.DEVNULL
    )
    while not (tmp_path / "under-way").exists():
        assert builder.poll() is None
    builder.kill()
    builder.wait()
    assert not cached(environ).exists()

    go(tmp_path, fake_build(tmp_path))
    assert find_temporal(environ, lambda _: None) == cached(environ)
    assert not list(cached(environ).parent.glob("unfinished-*"))


def test_a_built_program_that_does_not_run_is_not_kept(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_download(monkeypatch)
    go(tmp_path, 'echo not a program > "$4"')
    with pytest.raises(LocalStackError, match="does not run"):
        find_temporal(environ, lambda _: None)
    assert not cached(environ).exists()


def test_with_no_way_left_the_error_names_every_reason_and_the_ways_out(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_download(monkeypatch)
    go(tmp_path, "echo 'requires go >= 1.24' >&2; exit 1")
    with pytest.raises(LocalStackError) as caught:
        find_temporal(environ, lambda _: None)
    for part in ("requires go >= 1.24", "offline", "install Go", "OPENORDERS_TEMPORAL_BIN"):
        assert part in str(caught.value)


def test_the_download_is_kept_in_the_cache(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Environment:
        @staticmethod
        async def start_local(*, download_dest_dir: str) -> "Environment":
            script(Path(download_dest_dir) / "temporal-cli-sdk", GOOD)
            return Environment()

        async def shutdown(self) -> None: ...

    monkeypatch.setattr("temporalio.testing.WorkflowEnvironment", Environment)
    assert find_temporal(environ, lambda _: None) == cached(environ)


def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    class Environment:
        @staticmethod
        async def start_local(*, download_dest_dir: str) -> None:
            raise RuntimeError("offline")

    monkeypatch.setattr("temporalio.testing.WorkflowEnvironment", Environment)
