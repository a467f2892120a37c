"""Turns a mail into words: each sentence is written once, and a kit of parts gives it its text and its HTML form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from adapters.mail.formats import Formats, one_line, paragraph, sentence
from domain.contacts import Contact
from domain.mails import Mail, RenderedMail

_TEMPLATES = FileSystemLoader(Path(__file__).parent / "templates")


class MailRenderer:
    """Renders every kind of mail in the name of one shop.

    `support_email` is where the footer sends questions; without it, recipients are asked to reply to the mail.
    """

    def __init__(self, shop_name: str, support_email: str | None = None) -> None:
        self._shop = {"name": one_line(shop_name), "support_email": support_email or ""}
        self._html = _environment("html")
        self._text = _environment("text")

    def render(self, mail: Mail, contact: Contact, page_url: str | None = None) -> RenderedMail:
        """Render for this recipient; `page_url` is the page where they see the order and act on it.

        Raises `jinja2.UndefinedError` where a template asks for what the mail does not have: a bug.
        """
        formats = Formats.of(contact)
        language = str(formats.locale).replace("_", "-")
        facts = {
            "mail": mail,
            "name": one_line(contact.name),
            "shop": self._shop,
            "page_url": page_url or "",
            "f": formats,
            "zone_name": formats.zone.key,
            "language": language,
        }
        text = self._text.get_template(f"{mail.template}.jinja")
        html = self._html.get_template(f"{mail.template}.jinja")
        return RenderedMail(
            key=mail.key,
            subject=one_line(_block(text, "subject", facts)),
            text=text.render(facts).strip() + "\n",
            html=html.render(facts),
            language=language,
        )


def _block(template: Template, name: str, facts: Mapping[str, Any]) -> str:
    context = template.new_context(dict(facts))
    return "".join(template.blocks[name](context))


def _environment(form: str) -> Environment:
    """The same templates in one of two forms: `layout` and `kit` choose the form, autoescape guards the HTML one."""
    environment = Environment(
        loader=_TEMPLATES,
        autoescape=form == "html",
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"layout": f"layout.{form}.jinja", "kit": f"kit.{form}.jinja"}
    environment.filters |= {"one_line": one_line, "paragraph": paragraph, "sentence": sentence}
    environment.tests["web_url"] = is_web_url
    return environment


def is_web_url(url: str) -> bool:
    """Whether a link may be made clickable: `javascript:` and the like may not."""
    return url.startswith(("https://", "http://"))
