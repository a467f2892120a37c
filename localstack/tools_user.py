"""Whom the PostgreSQL tools run as: they refuse root, so root lends them the name of somebody harmless."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from localstack.errors import LocalStackError


@dataclass(frozen=True)
class ToolsUser:
    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Asked of the kernel as that user, because every parent folder has a say in it."""
        answer = subprocess.run(
            ["test", "-x", str(folder)], check=False, cwd="/", user=self.uid, group=self.gid, extra_groups=[]
        )
        return answer.returncode == 0


def tools_user() -> ToolsUser | None:
    """None when we are not root: then the tools run as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ToolsUser(name, entry.pw_uid, entry.pw_gid)
    raise LocalStackError("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as")
