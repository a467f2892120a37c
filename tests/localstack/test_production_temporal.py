"""What the production server is given: its configuration, its settings and its programs.

The server itself is built and run by `python -m benchmarks.servers`: the build takes minutes.
"""

import re
from pathlib import Path

import pytest
import yaml

from localstack.errors import LocalStackError
from localstack.postgres import Postgres
from localstack.postgres_tools import find_postgres_tools
from localstack.production_temporal import CONFIG, ProductionTemporal, find_programs
from localstack.temporal import _DYNAMIC_CONFIG

GO = """#!/bin/sh
echo "$@" >> {log}
name=${{3%@*}}
echo '#!/bin/sh' > "$GOBIN/${{name##*/}}"
"""


def test_every_value_of_the_configuration_comes_from_what_the_server_is_given(state_dir: Path) -> None:
    server = ProductionTemporal(state_dir / "temporal", 7233)
    server.postgres = Postgres(state_dir / "postgres", 5432)
    server.postgres.state_dir.mkdir()
    (server.postgres.state_dir / "password").write_text("hunter2")
    given = server.server_environment()
    template = (CONFIG / "production.yaml").read_text()
    asked = set(re.findall(r'env "(\w+)"', template))
    assert asked <= given.keys()
    assert "TEMPORAL_ADDRESS" not in given
    # As the server renders it: a value, or the default for a container.
    rendered = re.sub(r'\{\{ env "(\w+)"[^}]*\}\}', lambda found: given[found[1]], template)
    config = yaml.safe_load(rendered)
    stores = config["persistence"]["datastores"]
    assert {store["sql"]["databaseName"] for store in stores.values()} == {"temporal", "temporal_visibility"}
    assert {store["sql"]["connectAddr"] for store in stores.values()} == {"127.0.0.1:5432"}
    assert {store["sql"]["password"] for store in stores.values()} == {"hunter2"}
    taken = [
        config["services"][name]["rpc"][port] for name in config["services"] for port in ("grpcPort", "membershipPort")
    ]
    assert len(set(taken)) == 8
    assert config["dynamicConfigClient"]["filepath"] == str(CONFIG / "dynamic.yaml")


def test_its_settings_are_those_of_the_development_server() -> None:
    given = yaml.safe_load((CONFIG / "dynamic.yaml").read_text())
    pairs = [f"{name}={str(value).lower()}" for name, [setting] in given.items() for value in setting.values()]
    assert pairs == list(_DYNAMIC_CONFIG)


def test_its_programs_are_built_once(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text(GO.format(log=tmp_path / "builds"))
    go.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "OPENORDERS_CACHE": str(tmp_path / "cache")}
    said: list[str] = []
    programs = find_programs(environ, said.append)
    assert all(program.exists() for program in programs)
    assert (tmp_path / "builds").read_text().splitlines() == [
        "install -v go.temporal.io/server/cmd/server@v1.29.1",
        "install -v go.temporal.io/server/cmd/tools/sql@v1.29.1",
    ]
    assert find_programs(environ, said.append) == programs
    assert len((tmp_path / "builds").read_text().splitlines()) == 2


def test_a_postgresql_without_the_extension_is_refused(state_dir: Path) -> None:
    postgres = state_dir / "bin" / "postgres"
    postgres.parent.mkdir()
    postgres.write_text("#!/bin/sh\n")
    postgres.chmod(0o755)
    environ = {"OPENORDERS_POSTGRES_BIN": str(postgres.parent)}
    with pytest.raises(LocalStackError, match="it has no extension btree_gin"):
        find_postgres_tools(environ, "btree_gin")
