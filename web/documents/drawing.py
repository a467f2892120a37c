"""What slips and labels are drawn with."""

import io
import threading
from collections.abc import Callable, Mapping
from typing import Literal

from babel import Locale
from reportlab.graphics.barcode.code128 import Code128
from reportlab.pdfgen.canvas import Canvas

from domain.placing import Address
from web.documents.fonts import printable, register_fonts

_ONE_AT_A_TIME = threading.Lock()
"""reportlab keeps its fonts in module globals, and pages are drawn in threads."""

_COUNTRIES: Mapping[str, str] = Locale("en").territories
_BAR_WIDTH_MAX = 1.3
_QUIET_BARS = 10
"""Room that a scanner needs on either side of the bars."""


def pdf(title: str, page_size: tuple[float, float], draw: Callable[[Canvas], None]) -> bytes:
    """With no date and no random id in it."""
    with _ONE_AT_A_TIME:
        register_fonts()
        out = io.BytesIO()
        canvas = Canvas(out, pagesize=page_size, invariant=1)
        canvas.setTitle(printable(title))
        canvas.setCreator("openorders")
        draw(canvas)
        canvas.save()
        return out.getvalue()


def barcode(
    canvas: Canvas, text: str, left: float, bottom: float, room: float, height: float, align: Literal["center", "right"]
) -> None:
    """Code 128, its bars as wide as fit into the room."""
    bars = float(Code128(text, barWidth=1, barHeight=height, quiet=False).width) + 2 * _QUIET_BARS
    bar = min(_BAR_WIDTH_MAX, room / bars)
    spare = room - bars * bar
    x = left + _QUIET_BARS * bar + (spare if align == "right" else spare / 2)
    Code128(text, barWidth=bar, barHeight=height, quiet=False).drawOn(canvas, x, bottom)


def address_lines(address: Address) -> list[str]:
    """As parcels have it, the country last; without the name."""
    city = f"{address.city}," if address.region else address.city
    place = " ".join(part for part in (city, address.region, address.postal_code) if part)
    country = _COUNTRIES.get(address.country, address.country)
    return [line for line in (address.line1, address.line2, place, country) if line]
