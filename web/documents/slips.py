"""Packing slips: what goes into the box, without a price and without a word of other sellers."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from domain.model import Frozen
from domain.placing import Address
from web.documents.drawing import address_lines, barcode, pdf
from web.documents.fonts import BOLD, REGULAR, cannot_be_printed, largest, printable, wrapped

MARGIN = 15 * mm
_HEAD, _SHORT_HEAD = 232.0, 34.0
_FOOT = 24 * mm
_LINE = 12.5
_TICKS_MAX = 5
"""A square for each unit to be ticked off; more units than that share one."""

LETTER_COUNTRIES = frozenset({"US", "CA", "MX", "CL", "CO", "CR", "DO", "GT", "NI", "PA", "PH", "PR", "SV", "VE"})
"""Where offices have paper of 8.5 by 11 inches; everybody else has A4."""


class SlipItem(Frozen):
    sku: str
    title: str
    quantity: int


class SlipParcel(Frozen):
    parcel_id: str
    items: tuple[SlipItem, ...]


class Slip(Frozen):
    """One part of an order; dates are written already, as its seller reads them."""

    order_id: str
    fulfillment_id: str
    seller_name: str
    shop_name: str
    location: str
    method: str
    placed: str
    ship_by: str
    ship_to: Address
    items: tuple[SlipItem, ...]
    parcels: tuple[SlipParcel, ...] = ()


def packing_slips(slips: Sequence[Slip], *, letter: bool = False) -> bytes:
    """Each on pages of its own."""
    size = LETTER if letter else A4

    def draw(canvas: Canvas) -> None:
        for slip in slips:
            _Pages(canvas, slip, *size).draw()

    title = f"Packing slip {slips[0].order_id} {slips[0].fulfillment_id}" if len(slips) == 1 else "Packing slips"
    return pdf(title, size, draw)


class _Row(NamedTuple):
    """Its text is wrapped already: how high it will be is known before it is drawn. Without `units` it is a note."""

    text: list[str]
    sku: list[str]
    units: int | None
    height: float


class _Pages:
    def __init__(self, canvas: Canvas, slip: Slip, width: float, height: float) -> None:
        self.canvas = canvas
        self.slip = slip
        self.width = width
        self.height = height
        self.left = MARGIN
        self.right = width - MARGIN
        # Columns: boxes to tick, units, SKU, title.
        self.units_at: float = self.left + 92
        self.sku_at: float = self.left + 108
        self.title_at: float = self.left + 250
        self.pages = _paginated(
            [*(self._item(item) for item in slip.items), *self._parcels()],
            first=height - MARGIN - _HEAD - _FOOT,
            other=height - MARGIN - _SHORT_HEAD - _FOOT,
        )

    def draw(self) -> None:
        for number, rows in enumerate(self.pages, start=1):
            top = self._head() if number == 1 else self._short_head()
            self._table(rows, top)
            self._foot(number)
            self.canvas.showPage()

    def _item(self, item: SlipItem) -> _Row:
        title = wrapped(item.title, REGULAR, 10, self.right - self.title_at)
        sku = wrapped(item.sku, REGULAR, 9, self.title_at - self.sku_at - 10)
        return _Row(title, sku, item.quantity, _LINE * max(len(title), len(sku)) + 8)

    def _parcels(self) -> Iterator[_Row]:
        for parcel in self.slip.parcels:
            contents = ", ".join(f"{item.quantity} x {item.sku}" for item in parcel.items)
            lines = wrapped(f"Parcel {parcel.parcel_id}: {contents}", REGULAR, 9, self.right - self.left)
            yield _Row(lines, [], None, _LINE * len(lines) + 8)

    def _text(self, x: float, y: float, text: str, *, bold: bool = False, size: float = 10) -> None:
        self.canvas.setFont(BOLD if bold else REGULAR, size)
        self.canvas.drawString(x, y, printable(text))

    def _right(self, x: float, y: float, text: str, *, bold: bool = False, size: float = 8) -> None:
        self.canvas.setFont(BOLD if bold else REGULAR, size)
        self.canvas.drawRightString(x, y, printable(text))

    def _rule(self, y: float, thickness: float) -> None:
        self.canvas.setLineWidth(thickness)
        self.canvas.line(self.left, y, self.right, y)

    def _head(self) -> float:
        slip = self.slip
        top: float = self.height - MARGIN
        name = largest(slip.seller_name, BOLD, 240, (17, 15, 13, 11, 9, 7))
        self._text(self.left, top - 16, slip.seller_name, bold=True, size=name)
        self._text(self.left, top - 34, "Packing slip", size=12)
        code = f"{slip.order_id} {slip.fulfillment_id}"
        barcode(self.canvas, code, self.left + 250, top - 36, self.right - self.left - 250, 36, "right")
        self._right(self.right, top - 48, code)
        self._rule(top - 60, 0.8)
        self._address(top - 76)
        self._facts(top - 76)
        self._rule(top - _HEAD + 20, 0.8)
        return top - _HEAD

    def _address(self, top: float) -> None:
        room = self.width / 2 - MARGIN - 20
        self._text(self.left, top, "Ship to", size=8)
        lines = [(line, True) for line in wrapped(self.slip.ship_to.name, BOLD, 12, room)]
        rest = [*address_lines(self.slip.ship_to), self.slip.ship_to.phone]
        lines += [(line, False) for text in rest if text for line in wrapped(text, REGULAR, 11, room)]
        step = min(15.0, 118 / len(lines))
        for number, (line, bold) in enumerate(lines, start=1):
            self._text(self.left, top - 3 - step * number, line, bold=bold, size=min(12 if bold else 11, step - 1))

    def _facts(self, top: float) -> None:
        slip, at = self.slip, self.width / 2 + 4
        facts = {
            "Order": slip.order_id,
            "Part": slip.fulfillment_id,
            "Ordered": slip.placed,
            "Ship by": slip.ship_by,
            "Shipping": slip.method,
            "From": slip.location,
            "Units": f"{sum(item.quantity for item in slip.items):,}",
        }
        for number, (name, value) in enumerate(facts.items()):
            y = top - 17 * number
            self._text(at, y, name, size=8)
            size = largest(value, BOLD, self.right - at - 58, (10.5, 9, 8, 7, 6, 5, 4, 3))
            self._text(at + 58, y, value, bold=True, size=size)

    def _short_head(self) -> float:
        top: float = self.height - MARGIN
        self._text(self.left, top - 10, f"Order {self.slip.order_id} {self.slip.fulfillment_id}, continued", size=9)
        return top - _SHORT_HEAD

    def _table(self, rows: list[_Row], y: float) -> None:
        if any(row.units is not None for row in rows):
            self._text(self.left, y, "Packed", size=8)
            self._right(self.units_at, y, "Units")
            self._text(self.sku_at, y, "SKU", size=8)
            self._text(self.title_at, y, "Item", size=8)
            y -= 6
            self._rule(y, 0.4)
        for row in rows:
            if row.units is None:
                self._lines(self.left, y - 14, row.text, size=9)
            else:
                self._ticks(y - 15, row.units)
                self._right(self.units_at, y - 14, f"{row.units:,}", bold=True, size=12)
                self._lines(self.sku_at, y - 14, row.sku, size=9)
                self._lines(self.title_at, y - 14, row.text, size=10)
            y -= row.height
            self._rule(y, 0.25)

    def _lines(self, x: float, y: float, lines: list[str], *, size: float) -> None:
        for number, line in enumerate(lines):
            self._text(x, y - _LINE * number, line, size=size)

    def _ticks(self, y: float, units: int) -> None:
        self.canvas.setLineWidth(0.8)
        for number in range(units if units <= _TICKS_MAX else 1):
            self.canvas.rect(self.left + 13 * number, y, 9, 9)

    def _foot(self, number: int) -> None:
        left = f"{self.slip.shop_name}   {self.slip.order_id} {self.slip.fulfillment_id}"
        if any(cannot_be_printed(text) for text in _texts(self.slip)):
            left = "Some letters could not be printed (?): the order's page shows them."
        self._text(self.left, MARGIN - 6, left, size=8)
        self._right(self.right, MARGIN - 6, f"page {number} of {len(self.pages)}")


def _paginated(rows: list[_Row], *, first: float, other: float) -> list[list[_Row]]:
    """The first page has less room than the others: it has the address."""
    pages: list[list[_Row]] = [[]]
    room = first
    for row in rows:
        if row.height > room and pages[-1]:
            pages.append([])
            room = other
        pages[-1].append(row)
        room -= row.height
    return pages


def _texts(slip: Slip) -> tuple[str, ...]:
    return (slip.ship_to.name, *address_lines(slip.ship_to), *(item.title for item in slip.items))
