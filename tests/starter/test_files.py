"""Files are read before any server is asked, and no further than to their limit."""

from pathlib import Path

import pytest

import starter
from commands import stock
from commands.exit_codes import INVALID
from tests.bad_input import EXAMPLES


def test_a_body_may_have_two_megabytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "order.json"
    file.write_bytes(b" " * 2_000_001)
    for words in (["place", str(file)], ["pack", "1042", "--input", f"@{file}"]):
        assert starter.main(words) == INVALID
        assert capsys.readouterr().err == f"starter.py: {file}: larger than 2,000,000 bytes\n"
    file.write_bytes(b" " * 2_000_000)
    assert starter.main(["place", str(file)]) == INVALID
    assert f"{file}: no JSON: " in capsys.readouterr().err


def test_a_catalog_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = EXAMPLES / "catalog.json"
    monkeypatch.setattr(stock, "_CATALOG_BYTES_MAX", catalog.stat().st_size - 1)
    assert starter.main(["stock", "load", str(catalog)]) == INVALID
    assert capsys.readouterr().err.startswith(f"starter.py: {catalog}: larger than ")
