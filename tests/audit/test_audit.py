"""The audit of the lock, by pip-audit as it is, against advisories that are ours."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from localstack.ports import HOST, choose
from tests.audit.advisories import advisories

CHECKOUT = Path(__file__).resolve().parents[2]
HOLE = {
    "id": "PYSEC-2026-7",
    "aliases": ["CVE-2026-7777"],
    "fixed_in": ["2.1"],
    "summary": "Anybody may do anything",
    "details": "",
    "published": "2026-01-02T03:04:05Z",
    "withdrawn": None,
}
WITHDRAWN = {**HOLE, "id": "PYSEC-2026-8", "aliases": [], "withdrawn": "2026-02-02T00:00:00Z"}
KNOWN = {"vulnerable-one/2.0": [HOLE], "clean-one/1.4": [WITHDRAWN]}
ACCEPTED = """
[[accepted]]
id = "CVE-2026-7777"
package = "vulnerable-one"
reason = "Nobody reaches that part."
until = {until}
"""


class Auditor:
    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def run(self, *pins: str, accepted: str = "", **more: str) -> tuple[int, str]:
        """Exit code and all that was said."""
        (self._folder / "test.lock").write_text("".join(f"{pin}\n" for pin in pins))
        (self._folder / "accepted.toml").write_text(accepted)
        command = [sys.executable, "-m", "tests.audit", "--lock", "test.lock", "--accepted", "accepted.toml"]
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        kept.pop("OPENORDERS_AUDIT_STRICT", None)
        # What is cached of the real service belongs to nobody else, and nobody else's to this.
        environment = {**kept, "PYTHONPATH": str(CHECKOUT), "PIP_CACHE_DIR": str(self._folder), "PIP_NO_CACHE_DIR": "1"}
        environment |= {"XDG_CACHE_HOME": str(self._folder), **self._environment, **more}
        done = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=200, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Auditor]:
    folder = tmp_path_factory.mktemp("audit")
    with advisories(folder, KNOWN) as environment:
        yield Auditor(folder, environment)


def pinned(*pins: str) -> Sequence[str]:
    return [f"{pin} --hash=sha256:{'0' * 64}" for pin in pins]


def test_a_known_vulnerability_fails(auditor: Auditor) -> None:
    code, said = auditor.run(*pinned("vulnerable-one==2.0", "clean-one==1.4", "unknown-one==1.0"))
    assert code == 1
    assert "VULNERABLE: vulnerable-one 2.0: PYSEC-2026-7, CVE-2026-7777, mended in 2.1: Anybody may do any" in said
    assert "NOT AUDITED: 1 of 3 packages are unknown to the service: unknown-one" in said
    assert "2 packages audited, 1 known vulnerabilities that are not accepted" in said


def test_clean_packages_pass_also_where_all_must_be_known(auditor: Auditor) -> None:
    code, said = auditor.run(*pinned("clean-one==1.4"), OPENORDERS_AUDIT_STRICT="1")
    assert (code, said) == (0, "1 packages audited, 0 known vulnerabilities that are not accepted\n")


@pytest.mark.parametrize(("strict", "expected"), [("0", 0), ("1", 1)])
def test_a_package_that_the_service_does_not_know_is_told(auditor: Auditor, strict: str, expected: int) -> None:
    code, said = auditor.run(*pinned("clean-one==1.4", "unknown-one==1.0"), OPENORDERS_AUDIT_STRICT=strict)
    assert code == expected
    assert "NOT AUDITED: 1 of 2 packages" in said


def test_an_accepted_vulnerability_passes_until_its_day(auditor: Auditor) -> None:
    code, said = auditor.run(*pinned("vulnerable-one==2.0"), accepted=ACCEPTED.format(until="2999-12-31"))
    assert code == 0
    assert "accepted until 2999-12-31: vulnerable-one 2.0" in said
    assert "(Nobody reaches that part.)" in said
    code, said = auditor.run(*pinned("vulnerable-one==2.0"), accepted=ACCEPTED.format(until="2026-01-31"))
    assert code == 1
    assert "VULNERABLE (was accepted until 2026-01-31): vulnerable-one 2.0" in said


def test_accepting_needs_a_reason_and_a_day(auditor: Auditor) -> None:
    code, said = auditor.run(accepted='[[accepted]]\nid = "CVE-2026-7777"\npackage = "vulnerable-one"\n')
    assert code == 1
    assert "accepted.0.reason: Field required" in said
    assert "accepted.0.until: Field required" in said


@pytest.mark.parametrize(("strict", "expected"), [("0", 0), ("1", 1)])
def test_a_service_that_does_not_answer_is_told(auditor: Auditor, strict: str, expected: int) -> None:
    nobody = f"http://{HOST}:{choose(0, 'HTTPS_PROXY')}"
    code, said = auditor.run(*pinned("clean-one==1.4"), HTTPS_PROXY=nobody, OPENORDERS_AUDIT_STRICT=strict)
    assert code == expected
    assert "NOT AUDITED: no package of test.lock: the vulnerability service did not answer: " in said


def test_a_lock_without_hashes_fails(auditor: Auditor) -> None:
    code, said = auditor.run("clean-one==1.4")
    assert code == 1
    assert "test.lock" in said
    assert "hash" in said
