"""What a packer scans or types, as the contents of parcels: plain functions, and the order itself decides about them.

A barcode scanner types a SKU and Enter, so a parcel is a text with one SKU a line. The packer never sees the ids of
lines: units are counted against the lines of their SKU, and a SKU that is on none of them against the first line that
lacks something, so that the order can say what it wanted instead.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from domain.messages import Box, Packed
from domain.model import Frozen
from domain.placing import QUANTITY_MAX

SCANS_MAX = 5_000
"""Lines of all parcels together."""

PARCELS_MAX = 100
WRONG_MAX = 10
"""So many different wrong items are put to the order; more are no packing of it."""


class ToPack(Frozen):
    """Units of one line that wait to be packed."""

    line_id: str
    sku: str
    to_pack: int


class Scan(NamedTuple):
    """A line that was read; `row` counts from 1 within its parcel."""

    row: int
    sku: str
    quantity: int
    damaged: bool


class Unread(NamedTuple):
    row: int
    text: str


class ParcelText(Frozen):
    """A parcel as it was typed."""

    contents: str = ""
    weight_grams: str = ""


class Trouble(Frozen):
    """What is wrong; with a parcel where it is one's, counted from 0."""

    words: str
    parcel: int | None = None
    field: Literal["contents", "weight_grams"] = "contents"


class ScannedBox(NamedTuple):
    """`parcel` is where it was typed, `rows` the line of the text that each of its contents was first scanned in."""

    parcel: int
    box: Box
    rows: tuple[int, ...]


def read_scans(text: str, known: Sequence[str]) -> tuple[Scan | Unread, ...]:
    """`SKU`, `SKU x 3`, `3 x SKU`, and `damaged` behind any of them; `known` are the SKUs that may be meant."""
    return tuple(_read(row, line.strip(), known) for row, line in enumerate(text.splitlines(), start=1) if line.strip())


_SKU = r"(?P<sku>\S{1,64})"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (_SKU, rf"{_SKU}\s+[x×*]\s*(?P<n>\d{{1,6}})", rf"(?P<n>\d{{1,6}})\s*[x×*]\s+{_SKU}")
)
_DAMAGED = re.compile(r"\s+\(?damaged\)?$", re.IGNORECASE)
_LINE_MAX = 120
"""A SKU has 64 letters at most. What is longer is not even looked at: it might take long."""


def _read(row: int, line: str, known: Sequence[str]) -> Scan | Unread:
    if len(line) > _LINE_MAX or not line.isprintable():
        return Unread(row, line)
    plain = _DAMAGED.sub("", line)
    damaged = plain != line
    readings = [
        Scan(row, match["sku"], int(match.groupdict().get("n") or 1), damaged)
        for form in _FORMS
        if (match := form.fullmatch(plain))
    ]
    readings = [scan for scan in readings if 1 <= scan.quantity <= QUANTITY_MAX]
    if not readings:
        return Unread(row, line)
    # `4006381333931 x 2` and `2 x 4006381333931` look alike: what is on the list is what was meant.
    by_name = {sku.casefold(): sku for sku in reversed(known)}
    for scan in readings:
        if scan.sku in known:
            return scan
    for scan in readings:
        if scan.sku.casefold() in by_name:
            return scan._replace(sku=by_name[scan.sku.casefold()])
    return readings[0]


def boxes(parcels: Sequence[ParcelText], lines: Sequence[ToPack]) -> tuple[tuple[ScannedBox, ...], tuple[Trouble, ...]]:
    """The parcels that something was scanned into; and what could not be read, which is mended first."""
    left = {line.line_id: line.to_pack for line in lines}
    found: list[ScannedBox] = []
    troubles: list[Trouble] = []
    if sum(parcel.contents.count("\n") for parcel in parcels) > SCANS_MAX:
        return (), (Trouble(words=f"More than {SCANS_MAX:,} lines: write a quantity behind the SKU, as in SKU x 12."),)
    if len(parcels) > PARCELS_MAX:
        return (), (Trouble(words=f"More than {PARCELS_MAX} parcels at once."),)
    for number, parcel in enumerate(parcels):
        scans = read_scans(parcel.contents, [line.sku for line in lines])
        troubles += [
            Trouble(
                words=f"Line {scan.row}: {scan.text[:80]!r} is not read; one SKU a line, as SKU or SKU x 3.",
                parcel=number,
            )
            for scan in scans
            if isinstance(scan, Unread)
        ]
        weight = _weight(parcel.weight_grams)
        if isinstance(weight, str):
            troubles.append(Trouble(words=weight, parcel=number, field="weight_grams"))
        elif read := [scan for scan in scans if isinstance(scan, Scan)]:
            if len({(scan.sku, scan.damaged) for scan in read}) > len(lines) + WRONG_MAX:
                troubles.append(Trouble(words="Most of this is not on the list: is it another order?", parcel=number))
            else:
                found.append(_box(number, read, lines, left, weight))
    if not found and not troubles:
        troubles.append(Trouble(words="Nothing is scanned yet.", parcel=0))
    return tuple(found), tuple(troubles)


def _weight(text: str) -> int | str | None:
    plain = text.strip()
    if not plain:
        return None
    if not re.fullmatch(r"[0-9]{1,8}", plain) or not 1 <= int(plain) <= 10_000_000:
        return "A weight is a whole number of grams, 1 to 10,000,000."
    return int(plain)


def _box(
    number: int, scans: Sequence[Scan], lines: Sequence[ToPack], left: dict[str, int], weight: int | None
) -> ScannedBox:
    contents: dict[tuple[str, str, bool], int] = {}
    rows: dict[tuple[str, str, bool], int] = {}
    for scan in scans:
        for line_id, quantity in _onto_lines(scan, lines, left):
            key = (line_id, scan.sku, scan.damaged)
            # More than any line may have is a wrong count, whatever it is.
            contents[key] = min(contents.get(key, 0) + quantity, QUANTITY_MAX)
            rows.setdefault(key, scan.row)
    packed = tuple(
        Packed(line_id=line_id, sku=sku, quantity=quantity, condition="damaged" if damaged else "good")
        for (line_id, sku, damaged), quantity in contents.items()
    )
    return ScannedBox(number, Box(contents=packed, weight_grams=weight), tuple(rows[key] for key in contents))


def _onto_lines(scan: Scan, lines: Sequence[ToPack], left: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Line by line; what is too much goes onto the last one, where the order finds the wrong count."""
    own = [line for line in lines if line.sku == scan.sku]
    if not own:
        lacking = [line for line in lines if left[line.line_id] > 0] or list(lines)
        yield lacking[0].line_id, scan.quantity
        return
    quantity = scan.quantity
    for line in own:
        part = quantity if line is own[-1] else min(quantity, max(0, left[line.line_id]))
        if part:
            left[line.line_id] -= part
            quantity -= part
            yield line.line_id, part


def lacking(scanned: Sequence[ScannedBox], lines: Sequence[ToPack]) -> Mapping[str, tuple[int, int]]:
    """SKUs of which fewer were scanned than there are to pack: how many of how many."""
    wanted: dict[str, int] = {}
    for line in lines:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.to_pack
    counts = dict.fromkeys(wanted, 0)
    for one in scanned:
        for packed in one.box.contents:
            if packed.sku in counts:
                counts[packed.sku] += packed.quantity
    return {sku: (counts[sku], wanted[sku]) for sku in wanted if counts[sku] < wanted[sku]}


def too_few(scanned: Sequence[ScannedBox], lines: Sequence[ToPack]) -> tuple[Trouble, ...]:
    """What lacks, for whoever means to pack all of it. A wrong item comes first: too few of the right ones follow."""
    wanted = {line.sku for line in lines}
    if any(packed.sku not in wanted for one in scanned for packed in one.box.contents):
        return ()
    words = ", ".join(f"{there} of {all_of_it} x {sku}" for sku, (there, all_of_it) in lacking(scanned, lines).items())
    return (Trouble(words=f"Wrong count: {words}. Scan the rest, or tick that it follows later."),) if words else ()


_PATH = re.compile(r"parcels\.(\d+)(?:\.contents\.(\d+))?(?:\.([a-z_]+))?: (.+)", re.DOTALL)


def trouble_of(reason: str, scanned: Sequence[ScannedBox]) -> Trouble:
    """The order's own words, at the parcel and the line of its text that they are about."""
    match = _PATH.fullmatch(reason)
    if match is None or int(match[1]) >= len(scanned):
        return Trouble(words=reason)
    one = scanned[int(match[1])]
    if match[2] is None or int(match[2]) >= len(one.rows):
        return Trouble(
            words=match[4], parcel=one.parcel, field="weight_grams" if match[3] == "weight_grams" else "contents"
        )
    index = int(match[2])
    words = match[4]
    if match[3] == "line_id":
        # The id of a line is no word of the packer's.
        words = f"nothing of {one.box.contents[index].sku} is left to pack"
    return Trouble(words=f"Line {one.rows[index]}: {words}", parcel=one.parcel)
