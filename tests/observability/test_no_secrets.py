"""No secret is found in what the processes say, whatever goes wrong: canaries in all of them, and a search."""

import asyncio
import base64
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx

from domain.access import Scope
from domain.keyring import written
from localstack.ports import HOST, choose
from localstack.stack import Stack
from localstack.worker_process import wait_until_ready, worker_process
from store.keys import Keys
from tests.encryption import client_with
from tests.faults.shop import BesiegedShop
from tests.shop import line
from usecases.keys import new_key
from workflows.names import SEARCH_ATTRIBUTES

SECRET_KEY = "canary-of-the-secret-key-0123456789"
SMTP_PASSWORD = "canary-of-the-mail-server"
WRONG_PASSWORD = "canary-of-the-wrong-password"
TOKEN = "card-canary-4111"
BYTES = b"canary-of-the-encryption-key-32b"
KEY = written("canary", BYTES)
BAD = {
    "OPENORDERS_DATABASE_URL": f"mysql://u:{WRONG_PASSWORD}@{HOST}/x",
    "OPENORDERS_ENCRYPTION_KEYS": f"canary:{WRONG_PASSWORD}",
    "OPENORDERS_SMTP_PORT": WRONG_PASSWORD,
    "OPENORDERS_LOG_LEVEL": WRONG_PASSWORD,
}


class Refusing(socketserver.StreamRequestHandler):
    """A mail server that takes no password."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for command in self.rfile:
            word = command[:4].upper()
            if word == b"EHLO":
                self.wfile.write(b"250-here\r\n250 AUTH PLAIN LOGIN\r\n")
            elif word == b"AUTH":
                self.wfile.write(b"535 5.7.8 No such account\r\n")
                refused.set()
            else:
                self.wfile.write(b"221 Bye\r\n" if word == b"QUIT" else b"530 5.7.0 Sign in first\r\n")


refused = Event()


@contextmanager
def refusing_mails() -> Iterator[int]:
    with socketserver.ThreadingTCPServer((HOST, 0), Refusing) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


async def test_no_secret_is_told_whatever_goes_wrong(tmp_path: Path) -> None:
    said: dict[str, str] = {}
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack, refusing_mails() as smtp_port:
        settings = {
            "OPENORDERS_LOG_LEVEL": "DEBUG",
            "OPENORDERS_SECRET_KEY": SECRET_KEY,
            "OPENORDERS_ENCRYPTION_KEYS": KEY,
            "OPENORDERS_SMTP_PORT": str(smtp_port),
            "OPENORDERS_SMTP_USER": "shop",
            "OPENORDERS_SMTP_PASSWORD": SMTP_PASSWORD,
        }
        probes = f"{HOST}:{choose(0, 'OPENORDERS_HEALTH_ADDRESS')}"
        shop = BesiegedShop(stack, await client_with(stack, KEY), {**settings, "OPENORDERS_HEALTH_ADDRESS": probes})
        web = stack.web(settings)
        try:
            for process in (shop.worker, web):
                process.start()
            for process in (shop.worker, web):
                wait_until_ready(process)
            await shop.open()
            key = await new_key(Keys(shop.database), Scope.BACKEND, "canary")
            body = shop.body(line(await shop.lists(5)))
            for payment in body["payments"]:
                payment["token"] = TOKEN
            bearer = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=stack.web_url, timeout=60) as browser:
                calls = 0

                async def ask(method: str, path: str, status: int, **more: object) -> None:
                    nonlocal calls
                    calls += 1
                    answer = await browser.request(method, path, **more)  # type: ignore[arg-type]
                    assert answer.status_code == status, (path, answer.status_code, answer.text)
                    said[f"answer {calls} {path}"] = f"{answer.headers} {answer.text}"

                await ask("POST", "/v1/orders", 201, json=body, headers=bearer)
                await ask("POST", "/v1/orders", 422, json={**body, "currency": TOKEN}, headers=bearer)
                await ask("GET", "/v1/orders/x", 401, headers={"Authorization": f"Bearer {key}x"})
                assert await asyncio.to_thread(refused.wait, 60)  # of a mail, which comes after the order's rows
                await ask("GET", f"/v1/orders/{body['order_id']}", 200, headers=bearer)
                stack.postgres.kill()
                await ask("GET", f"/v1/orders/{body['order_id']}", 503, headers=bearer)
                await ask("GET", f"http://{probes}/readyz", 503)
                await ask("GET", f"http://{probes}/metrics", 200)
                stack.postgres.start()
        finally:
            await shop.database.close()
        user, _, rest = stack.postgres.dsn.rpartition("@")
        wrong = {"OPENORDERS_DATABASE_URL": f"{user.rpartition(':')[0]}:{WRONG_PASSWORD}@{rest}"}
        for name, bad in (("wrong password", wrong), ("bad settings", BAD)):
            process = worker_process(stack.environment | settings | bad, tmp_path / f"{name}.log")
            process.start()
            assert process.ends_within(60), name
            assert process.exit_code == 1
            said[name] = process.log.read_text()
        assert "PostgreSQL: OperationalError" in said["wrong password"]
        logs = [path.read_text(errors="replace") for path in (stack.state_dir / "postgres").rglob("*.log")]
        assert any("password authentication failed" in log for log in logs)
        assert [name for name in BAD if name not in said["bad settings"]] == []
        said |= {process.name: process.log.read_text() for process in (shop.worker, web)}
        assert f"an activity ended outcome=done order_id={body['order_id']}" in said[shop.worker.name]
        secrets = [SECRET_KEY, SMTP_PASSWORD, WRONG_PASSWORD, TOKEN, key, stack.postgres.password, BYTES.decode()]
        encoded = [KEY.partition("=")[2], *(base64.b64encode(one.encode()).decode() for one in secrets)]
        encoded.append(base64.b64encode(f"\0shop\0{SMTP_PASSWORD}".encode()).decode())
        assert all(len(text) > 20 for text in said.values()), said
        found = [(name, one) for name, text in said.items() for one in (*secrets, *encoded) if one in text]
        assert found == []
