"""Labels of 4 by 6 inches: who sends it, who gets it, and the carrier's number as bars that it can scan."""

from collections.abc import Sequence

from reportlab.lib.units import inch
from reportlab.pdfgen.canvas import Canvas

from domain.model import Frozen
from domain.placing import Address
from web.documents.drawing import address_lines, barcode, pdf
from web.documents.fonts import BOLD, REGULAR, cannot_be_printed, largest, printable, wrapped

WIDTH, HEIGHT = 4 * inch, 6 * inch
_LEFT, _RIGHT = 14.0, WIDTH - 14
_ROOM = _RIGHT - _LEFT
_ADDRESS_SIZES = (15, 14, 13, 12, 11, 10, 9, 8, 7)
_ADDRESS_ROOM = 136.0


class ParcelLabel(Frozen):
    """One parcel that has a carrier and a number; the ship-by date is written already."""

    order_id: str
    parcel_id: str
    number: int
    of: int
    """The how many-th of its part's parcels."""

    seller_name: str
    location: str
    ship_to: Address
    carrier: str
    tracking_number: str
    method: str
    ship_by: str
    weight_grams: int | None


def parcel_labels(labels: Sequence[ParcelLabel]) -> bytes:
    """A page each."""

    def draw(canvas: Canvas) -> None:
        for label in labels:
            _draw(canvas, label)
            canvas.showPage()

    title = f"Label {labels[0].tracking_number}" if len(labels) == 1 else "Labels"
    return pdf(title, (WIDTH, HEIGHT), draw)


def _draw(canvas: Canvas, label: ParcelLabel) -> None:
    _sender(canvas, label, HEIGHT - 14)
    _line(canvas, HEIGHT - 66)
    _receiver(canvas, label, HEIGHT - 66)
    _line(canvas, HEIGHT - 232)
    _service(canvas, label, HEIGHT - 232)
    _line(canvas, HEIGHT - 284)
    _number(canvas, label, HEIGHT - 284)
    _line(canvas, 34)
    lost = any(cannot_be_printed(text) for text in (label.ship_to.name, *address_lines(label.ship_to)))
    foot = "LETTERS ARE MISSING (?): see the order's page" if lost else f"ship by {label.ship_by}"
    _text(canvas, _LEFT, 20, f"order {label.order_id}", room=_ROOM * 0.42, sizes=(8, 7, 6, 5, 4))
    canvas.setFont(BOLD if lost else REGULAR, 7)
    canvas.drawRightString(_RIGHT, 20, printable(foot))


def _sender(canvas: Canvas, label: ParcelLabel, top: float) -> None:
    room = _ROOM - 84
    _text(canvas, _LEFT, top - 7, "FROM", room=room, sizes=(7,))
    _text(canvas, _LEFT, top - 22, label.seller_name, room=room, sizes=(11, 10, 9, 8, 7, 6, 5, 4), bold=True)
    _text(canvas, _LEFT, top - 36, label.location, room=room, sizes=(9, 8, 7, 6, 5, 4))
    canvas.setFont(REGULAR, 7)
    canvas.drawRightString(_RIGHT, top - 7, "PARCEL")
    canvas.setFont(BOLD, 15)
    canvas.drawRightString(_RIGHT, top - 24, f"{label.number} of {label.of}")
    canvas.setFont(REGULAR, largest(label.parcel_id, REGULAR, 84, (8, 7, 6, 5, 4)))
    canvas.drawRightString(_RIGHT, top - 36, printable(label.parcel_id))


def _receiver(canvas: Canvas, label: ParcelLabel, top: float) -> None:
    """As large as the whole of it fits."""
    _text(canvas, _LEFT, top - 13, "SHIP TO", room=_ROOM, sizes=(7,))
    to = label.ship_to
    for size in _ADDRESS_SIZES:
        lines = [(line, BOLD) for line in wrapped(to.name, BOLD, size, _ROOM)]
        lines += [(line, REGULAR) for text in address_lines(to) for line in wrapped(text, REGULAR, size, _ROOM)]
        if to.phone:
            lines += [(line, REGULAR) for line in wrapped(to.phone, REGULAR, size, _ROOM)]
        if len(lines) * size * 1.25 <= _ADDRESS_ROOM:
            break
    y = top - 16
    for line, font in lines[: int(_ADDRESS_ROOM / (size * 1.25))]:
        y -= size * 1.25
        canvas.setFont(font, size)
        canvas.drawString(_LEFT, y, line)


def _service(canvas: Canvas, label: ParcelLabel, top: float) -> None:
    weight = f"{label.weight_grams / 1000:,.2f} kg" if label.weight_grams is not None else "not weighed"
    _text(canvas, _LEFT, top - 22, label.carrier, room=_ROOM, sizes=(19, 17, 15, 13, 11, 9, 7, 5), bold=True)
    _text(canvas, _LEFT, top - 42, label.method, room=_ROOM * 0.6, sizes=(12, 10, 8, 6), bold=True)
    canvas.setFont(REGULAR, 10)
    canvas.drawRightString(_RIGHT, top - 42, weight)


def _number(canvas: Canvas, label: ParcelLabel, top: float) -> None:
    barcode(canvas, label.tracking_number, _LEFT, top - 78, _ROOM, 70, "center")
    size = largest(label.tracking_number, BOLD, _ROOM, (18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5))
    canvas.setFont(BOLD, size)
    canvas.drawCentredString(WIDTH / 2, top - 100, printable(label.tracking_number))


def _line(canvas: Canvas, y: float) -> None:
    canvas.setLineWidth(1)
    canvas.line(_LEFT, y, _RIGHT, y)


def _text(
    canvas: Canvas, x: float, y: float, text: str, *, room: float, sizes: Sequence[float], bold: bool = False
) -> None:
    font = BOLD if bold else REGULAR
    canvas.setFont(font, largest(text, font, room, sizes))
    canvas.drawString(x, y, printable(text))
