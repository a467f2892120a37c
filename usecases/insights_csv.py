"""A report as CSV, safe to be opened in a spreadsheet."""

import csv
import io

from domain.insights_reports import Cell, Kind, Report

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""With these a spreadsheet takes a text for a formula, which could send what is in the sheet to somebody."""


def csv_of(report: Report) -> str:
    """By RFC 4180, with a header; money in minor units, which the header says, shares as fractions of 1."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        f"{column.name} (minor units)" if column.kind is Kind.MONEY else column.name for column in report.columns
    )
    for row in report.rows:
        writer.writerow(_cell(row[column.name]) for column in report.columns)
    return file.getvalue()


def csv_name(report: Report) -> str:
    return f"{report.report}_{report.window.first}_{report.window.last}.csv"


def _cell(value: Cell) -> str | int | float:
    """A text that could be a formula begins with an apostrophe: spreadsheets show it as text."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value
        case _:
            return value
