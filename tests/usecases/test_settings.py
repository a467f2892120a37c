"""Where settings come from, and what a person is told who set one wrong."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.encryption import NEW, OLD
from usecases.errors import Unreachable
from usecases.settings import BadSettings, Settings, encryption_settings, load_settings
from usecases.temporal import connect, temporal_environment

URL = "OPENORDERS_DATABASE_URL"


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for `.openorders/env`; the real one and the real environment are out of the way."""
    path = tmp_path / "env"
    monkeypatch.setitem(Settings.model_config, "env_file", path)
    monkeypatch.delenv(URL, raising=False)
    monkeypatch.delenv("OPENORDERS_SMTP_PORT", raising=False)
    return path


def test_the_file_is_read_and_the_environment_wins(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text(f"{URL}=postgresql://file/db\nOPENORDERS_SMTP_PORT=2525\nTEMPORAL_ADDRESS=x:1\n")
    monkeypatch.setenv(URL, "postgresql://environment/db")
    settings = load_settings()
    assert settings.database_url == SecretStr("postgresql+psycopg://environment/db")
    assert settings.smtp_port == 2525


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_driver_of_the_database_is_named(env_file: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, f"{scheme}://u:p@h/db")
    assert load_settings().database_url.get_secret_value() == "postgresql+psycopg://u:p@h/db"


def test_without_a_database_the_setting_is_named(env_file: Path) -> None:
    with pytest.raises(BadSettings, match=f"^{URL}: Field required"):
        load_settings()


def test_a_wrong_setting_is_named_and_its_value_is_not_shown(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, "mysql://u:hunter2@h/db")
    monkeypatch.setenv("OPENORDERS_SMTP_PORT", "hunter3")
    with pytest.raises(BadSettings) as raised:
        load_settings()
    assert URL in str(raised.value)
    assert "OPENORDERS_SMTP_PORT" in str(raised.value)
    assert "hunter" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_secrets_do_not_show(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, "postgresql://u:hunter2@h/db")
    monkeypatch.setenv("OPENORDERS_SMTP_PASSWORD", "hunter3")
    monkeypatch.setenv("OPENORDERS_SECRET_KEY", "hunter4")
    monkeypatch.setenv("OPENORDERS_ENCRYPTION_KEYS", NEW)
    settings = load_settings()
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter" not in shown
        assert NEW.partition("=")[2] not in shown


def test_temporal_is_found_by_the_file_only_where_the_environment_names_none(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("TEMPORAL_ADDRESS=local:1\nTEMPORAL_NAMESPACE=default\nOPENORDERS_SMTP_PORT=1\n")
    assert temporal_environment({"A": "b", "TEMPORAL_NAMESPACE": "mine"}, path) == {
        "A": "b",
        "TEMPORAL_ADDRESS": "local:1",
        "TEMPORAL_NAMESPACE": "default",
    }
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"):
        assert temporal_environment({name: "x"}, path) == {name: "x"}
    assert temporal_environment({}, tmp_path / "none") == {}


async def test_an_unreachable_server_is_one_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as raised:
        await connect(environ={"TEMPORAL_ADDRESS": "127.0.0.1:1"}, environment_file=tmp_path / "none")
    assert str(raised.value) == "Temporal does not answer at 127.0.0.1:1: Connection refused"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"TEMPORAL_PROFILE": "nobody"}, "Temporal's settings: Profile 'nobody' not found"),
        ({"TEMPORAL_ADDRESS": "no address"}, "Temporal does not answer at no address: "),
    ],
)
async def test_wrong_settings_of_temporal_are_one_line(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    with pytest.raises(Unreachable) as raised:
        await connect(environ=environ, environment_file=tmp_path / "none")
    assert str(raised.value).startswith(says)


def test_keys_come_from_a_setting_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# current\n{NEW}\n{OLD}\n", encoding="utf-8")
    none = tmp_path / "none"
    for environ in (
        {"OPENORDERS_ENCRYPTION_KEYS": f"{NEW},{OLD}"},
        {"OPENORDERS_ENCRYPTION_KEYS_FILE": str(path), "OPENORDERS_ENCRYPTION_KEYS": ""},
    ):
        ring = encryption_settings(environ, none).keyring("tests")
        assert ring is not None
        assert repr(ring) == "Keyring(new, old)"
    assert encryption_settings({}, none).keyring("tests") is None
    assert encryption_settings({"OPENORDERS_ENCRYPTION_KEYS": ""}, none).keyring("tests") is None


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"KEYS": f"{NEW},nothing"}, "OPENORDERS_ENCRYPTION_KEYS: key 2 must be like 2026-11=BASE64"),
        (
            {"KEYS": NEW, "KEYS_FILE": "/keys"},
            "OPENORDERS_ENCRYPTION_KEYS and OPENORDERS_ENCRYPTION_KEYS_FILE: ",
        ),
        ({"KEYS_FILE": "/no/such/file"}, "OPENORDERS_ENCRYPTION_KEYS_FILE: FileNotFoundError"),
        ({"KEYS_FILE": os.devnull}, "OPENORDERS_ENCRYPTION_KEYS_FILE: there is no key in it"),
        ({"KEYS": NEW, "": "maybe"}, "OPENORDERS_ENCRYPTION: Input should be 'read', 'write' or 'require'"),
    ],
)
async def test_wrong_keys_are_one_line_without_any_key(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    given = {f"OPENORDERS_ENCRYPTION_{name}".rstrip("_"): value for name, value in environ.items()}
    with pytest.raises(BadSettings) as raised:
        await connect(environ=given, environment_file=tmp_path / "none", lazy=True)
    assert str(raised.value).startswith(says)
    assert NEW.partition("=")[2] not in str(raised.value)
