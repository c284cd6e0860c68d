"""Texts of pages in the reader's language: gettext catalogues, compiled when first needed.

The source is the catalogue that translators edit, ``locale/de/LC_MESSAGES/messages.po``; no
compiled copy has to be built, packaged or kept in step, and no tool of the system is needed.
English is the language of the code, so it has no catalogue. ``make messages`` collects new texts.
"""

from __future__ import annotations

import functools
import gettext as catalogues
import io
from importlib import resources

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from ogcapi import negotiation


def gettext(message: str) -> str:
    """Return a text in the language of the page that is being answered."""
    return catalogue(negotiation.language()).gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    """Return the form of a text that fits a number, in the language of the page."""
    return catalogue(negotiation.language()).ngettext(one, many, count)


def pgettext(context: str, message: str) -> str:
    """Return a text that means different things in different places."""
    return catalogue(negotiation.language()).pgettext(context, message)


def npgettext(context: str, one: str, many: str, count: int) -> str:
    """Return the form that fits a number, of a text that has several meanings."""
    return catalogue(negotiation.language()).npgettext(context, one, many, count)


def N_(message: str) -> str:  # noqa: N802  gettext's own name for it
    """Mark a text that is translated later, where it is shown."""
    return message


@functools.cache
def catalogue(language: str) -> catalogues.NullTranslations:
    """Return the compiled catalogue of a language."""
    file = resources.files("ogcapi").joinpath("locale", language, "LC_MESSAGES", "messages.po")
    if not file.is_file():
        return catalogues.NullTranslations()
    compiled = io.BytesIO()
    with file.open("rb") as stream:
        write_mo(compiled, read_po(stream, locale=language))
    compiled.seek(0)
    return catalogues.GNUTranslations(compiled)


def number(value: float) -> str:
    """Return a number as it is written in the language of the page."""
    return str(format_decimal(value, locale=negotiation.language()))


def decimal(value: float) -> str:
    """Return a number with all its digits and no other signs, as the page's language has it."""
    language = negotiation.language()
    return str(
        format_decimal(value, locale=language, decimal_quantization=False, group_separator=False)
    )


def moment(time: str) -> str:
    """Return an ISO-8601 time in UTC as it is written in the language of the page; "" for ""."""
    if not time or negotiation.language() != "de":
        return time[:19].replace("T", " ")
    return f"{time[8:10]}.{time[5:7]}.{time[:4]} {time[11:19]}"
