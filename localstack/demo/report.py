"""The end of a performance: every timeline, every mail, one table, and whether it all adds up."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale

from adapters.mail.formats import Formats
from domain.results import OrderResult
from domain.timeline import Entry
from localstack.demo.performance import Ending
from localstack.demo.story import Story
from localstack.demo.watching import Print, business_time, why, words
from localstack.mailbox import Mail
from store.database import Database
from store.identities import violations
from store.views.order import OrderViews


class Verdict(NamedTuple):
    ending: Ending
    timeline: tuple[Entry, ...]
    problems: tuple[str, ...]


async def report(endings: Sequence[Ending], database: Database, mails: Sequence[Mail], line: Print) -> int:
    """Print it all; gives the number of things that are not as they should be."""
    verdicts = [await _judge(ending, OrderViews(database)) for ending in endings]
    for verdict in verdicts:
        _print_order(verdict, [mail for mail in mails if _order_of(mail) == verdict.ending.story.order_id], line)
    _print_table(verdicts, line)
    broken = await violations(database)
    well = sum(not verdict.problems for verdict in verdicts)
    line("")
    line(f"{well} of {len(verdicts)} orders ended as they should; {len(mails)} mails were sent.")
    line(f"The identities of units and money, asked of the database: {len(broken)} violations.")
    for verdict in verdicts:
        for problem in verdict.problems:
            line(f"  {verdict.ending.story.order_id}: {problem}")
    for violation in broken:
        line(f"  {violation}")
    return len(verdicts) - well + len(broken)


async def _judge(ending: Ending, views: OrderViews) -> Verdict:
    story, result = ending.story, ending.result
    detail = await views.order(story.order_id)
    timeline, mails = (detail.timeline, detail.mails) if detail else ((), ())
    problems = list(ending.troubles)
    if result is None:
        problems.append(f"is {detail.order.status if detail else 'not there'}, not at its end")
    else:
        problems += _differences(story, result)
        told = {told for entry in timeline for told in (entry.what, f"{entry.who} {entry.what}")}
        problems += [f"its timeline does not tell of {word}" for word in story.tells_of if word not in told]
    problems += [f"the mail {mail.key} was not sent: {mail.last_error}" for mail in mails if mail.sent_at is None]
    return Verdict(ending, timeline, tuple(problems))


def _differences(story: Story, result: OrderResult) -> Iterator[str]:
    paid = result.captured - result.refunded
    if result.status != story.end:
        yield f"ended as {result.status}, not as {story.end}"
    if story.paid is not None and paid != story.paid:
        yield f"{_money(paid, story.currency)} was paid, not {_money(story.paid, story.currency)}"
    if story.units is not None and result.units != story.units:
        yield f"its units are {_units(result.units)}, not {_units(story.units)}"


def _order_of(mail: Mail) -> str:
    """Its Message-ID begins with the mail's key (`adapters.mail.smtp.message_id`), and that with the order."""
    return mail.message_id.removeprefix("<").partition(".")[0]


def _print_order(verdict: Verdict, mails: Sequence[Mail], line: Print) -> None:
    story = verdict.ending.story
    line("")
    line(f"Order {story.order_id}: {story.title}")
    for entry in verdict.timeline:
        what = f"{entry.summary}{why(entry)}"
        line(f"  {business_time(entry.occurred_at)}  {entry.who:<17}  {words(entry):<22}  {what}")
    for mail in mails:
        line(f"  {'mail':<16}  {', '.join(mail.recipients):<29}  {mail.subject}")


def _print_table(verdicts: Sequence[Verdict], line: Print) -> None:
    rows = [("order", "story", "should end", "ended", "units", "charged", "refunded", "")]
    for verdict in verdicts:
        story, result = verdict.ending.story, verdict.ending.result
        units = _units(result.units) if result else ""
        charged = _money(result.captured, story.currency) if result else ""
        refunded = _money(result.refunded, story.currency) if result and result.refunded else ""
        verdict_word = "ok" if not verdict.problems else "WRONG"
        status = result.status if result else "open"
        rows.append((story.order_id, story.title, story.end, status, units, charged, refunded, verdict_word))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    line("")
    for row in rows:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _units(units: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {place}" for place, number in sorted(units.items()))


def _money(amount: int, currency: str) -> str:
    return Formats(Locale("en"), ZoneInfo("UTC")).money(amount, currency)
