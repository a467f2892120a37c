"""Where in the web an order is seen: for its customer by a signed link, for a seller by its own part."""

from collections.abc import Callable
from urllib.parse import quote

from pydantic import SecretStr

from domain.mails import Mail
from usecases.signatures import Signatures


def support_page(web_url: str | None) -> Callable[[str], str]:
    """Where support sees an order, by its id; empty where no web is there."""
    root = web_url.rstrip("/") if web_url else ""
    return lambda order_id: f"{root}/support/orders/{quote(order_id)}" if root else ""


def order_pages(web_url: str | None, secret_key: SecretStr | None) -> Callable[[Mail], str | None]:
    """The page that a mail leads to. None where no web is there: the mail then says how to answer it."""
    if web_url is None or secret_key is None:
        return lambda _: None
    root, signatures = web_url.rstrip("/"), Signatures(secret_key)

    def page(mail: Mail) -> str:
        part = getattr(mail, "fulfillment_id", None)  # of mails to sellers
        if part is None:
            return f"{root}/o/{signatures.sign('order-link', mail.order_id)}"
        return f"{root}/seller/orders/{quote(mail.order_id)}/{quote(part)}"

    return page
