"""Asks PyPI's advisories about every package of the lock; `make audit`, and a part of `make check`.

Exit code 1 for a known vulnerability that `accepted.toml` does not accept, and for a lock that cannot be read. Packages
that the service does not know, or a service that does not answer, are told as NOT AUDITED, and are a failure with
`OPENORDERS_AUDIT_STRICT=1` only: whoever works without the network must be able to commit.

Not by OSV: that answers for a package which it has never heard of as for one without a vulnerability.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 120
NAMED_MAX = 5
DESCRIBED_MAX = 160
"""Characters of an advisory's text that are shown."""


class Accepted(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(min_length=1)
    package: str = Field(min_length=1)
    reason: str = Field(min_length=10)
    until: date


class AcceptedList(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    accepted: list[Accepted] = []


class Vulnerability(BaseModel):
    id: str
    aliases: list[str]
    fix_versions: list[str]
    description: str


class Package(BaseModel):
    """As pip-audit's JSON tells it: `skip_reason` stands where it was not audited."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    skip_reason: str | None = None


class Report(BaseModel):
    dependencies: list[Package]


class Trouble(Exception):
    """The audit itself cannot be done as it was asked for."""


class NoAnswer(Exception):
    """Of the vulnerability service, with what pip-audit said last."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("--lock", type=Path, default=CHECKOUT / "requirements.lock")
    parser.add_argument("--accepted", type=Path, default=Path(__file__).with_name("accepted.toml"))
    options = parser.parse_args(argv)
    unknown_fails = os.environ.get("OPENORDERS_AUDIT_STRICT") == "1"
    try:
        accepted = _accepted(options.accepted)
        packages = _audited(options.lock)
    except Trouble as trouble:
        print(f"audit: {trouble}", file=sys.stderr)
        return 1
    except NoAnswer as error:
        print(f"NOT AUDITED: no package of {options.lock.name}: the vulnerability service did not answer: {error}")
        return int(unknown_fails)
    return _verdict(packages, accepted, datetime.now(UTC).date(), unknown_fails=unknown_fails)


def _verdict(packages: Sequence[Package], accepted: Sequence[Accepted], today: date, *, unknown_fails: bool) -> int:
    vulnerable = 0
    for package in packages:
        for vulnerability in package.vulns:
            told = _told(package, vulnerability)
            reasons = [one for one in accepted if _is_of(one, package, vulnerability)]
            if any(today <= one.until for one in reasons):
                print(f"accepted until {reasons[0].until}: {told} ({reasons[0].reason})")
                continue
            past = "".join(f" (was accepted until {one.until})" for one in reasons)
            print(f"VULNERABLE{past}: {told}")
            vulnerable += 1
    unknown = [package.name for package in packages if package.skip_reason is not None]
    if unknown:
        more = f" and {len(unknown) - NAMED_MAX} more" if len(unknown) > NAMED_MAX else ""
        names = ", ".join(unknown[:NAMED_MAX])
        print(f"NOT AUDITED: {len(unknown)} of {len(packages)} packages are unknown to the service: {names}{more}")
    print(f"{len(packages) - len(unknown)} packages audited, {vulnerable} known vulnerabilities that are not accepted")
    return int(vulnerable > 0 or (unknown_fails and bool(unknown)))


def _told(package: Package, vulnerability: Vulnerability) -> str:
    names = ", ".join((vulnerability.id, *vulnerability.aliases))
    mended = f"mended in {' or '.join(vulnerability.fix_versions)}" if vulnerability.fix_versions else "not mended yet"
    return f"{package.name} {package.version}: {names}, {mended}: {vulnerability.description[:DESCRIBED_MAX]}"


def _is_of(accepted: Accepted, package: Package, vulnerability: Vulnerability) -> bool:
    return accepted.package == package.name and accepted.id in (vulnerability.id, *vulnerability.aliases)


def _accepted(path: Path) -> list[Accepted]:
    try:
        return AcceptedList.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).accepted
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Trouble(f"{path}: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Trouble(f"{path}: {wrong}") from None


def _audited(lock: Path) -> list[Package]:
    """Raises `NoAnswer`, or `Trouble` for a lock that pip-audit cannot read."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"not within {PATIENCE_SECONDS} s") from None
    if done.stdout:
        return Report.model_validate_json(done.stdout).dependencies
    # Its exit code is the same for a lock that cannot be read, which a dry run finds without asking anybody.
    dry = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=False)
    if dry.returncode != 0:
        raise Trouble(f"{lock}: {_last_line(dry.stderr)}")
    raise NoAnswer(_last_line(done.stderr))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing was said"])[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
