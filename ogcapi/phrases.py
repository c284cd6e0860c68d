"""What job records and checks of requests say in English, in the language of the page.

The manager writes its sentences into records and problem documents once, for every client, long
before anyone knows in which language they will be read. Pages recognise them by their pattern.
A sentence that is not known here stays as it is, marked as English for screen readers.
"""

from __future__ import annotations

import functools
import re

from markupsafe import Markup, escape

from ogcapi import negotiation
from ogcapi.translation import N_, catalogue

WORDS = {
    # statuses of jobs and states of steps
    "accepted": N_("accepted"),
    "running": N_("running"),
    "successful": N_("successful"),
    "failed": N_("failed"),
    "dismissed": N_("dismissed"),
    "waiting": N_("waiting"),
    "done": N_("done"),
    "cancelled": N_("cancelled"),
    # what followed from an attempt
    "commit": N_("commit"),
    "fail": N_("fail"),
    "again": N_("again"),
    "repeated": N_("repeated"),
    "more-memory": N_("more memory"),
    "lost": N_("lost"),
    "superseded": N_("superseded"),
    "reused": N_("reused"),
    # why nothing happens
    "queue": N_("queue"),
    "quota": N_("quota"),
    "workspace": N_("workspace"),
    "machine": N_("machine"),
    "unschedulable": N_("no machine has room"),
    "image-pull": N_("the image is being fetched"),
    "image-not-allowed": N_("the image is not allowed"),
    "admission": N_("refused by the cluster"),
    "starting": N_("starting"),
    "node-lost": N_("machine lost"),
    "evicted": N_("evicted"),
    # verdicts of objects
    "confirmed": N_("confirmed"),
    "rejected": N_("rejected"),
    "uncertain": N_("uncertain"),
    "candidate": N_("candidate"),
}

SENTENCES = (
    # messages of jobs
    N_("waiting: queue: {0} of {1} waiting jobs"),
    N_("waiting: queue: {0} of {1} waiting job"),
    N_("waiting: queue: {0}"),
    N_("waiting: starting: the inputs are being copied"),
    N_("waiting: starting: {0}"),
    N_("waiting: quota: {0}"),
    N_("waiting: workspace: {0}"),
    N_("waiting: machine: {0}"),
    N_("waiting: unschedulable: {0}"),
    N_("waiting: image-pull: {0}"),
    N_("waiting: admission: {0}"),
    N_("waiting: evicted: {0}"),
    N_("results removed; the job was {0}"),
    N_("{0}; its files were deleted on {1}"),
    N_("done: {0} steps"),
    N_("done: {0} step"),
    N_("failed: {0}"),
    N_("{0}: {1} of {2} batches"),
    N_("{0}: {1} of {2} runs"),
    N_("{0}: {1} of {2} {3}"),
    # what a request should have held
    N_("exactly one of {0}"),
    N_("at least one of {0}"),
    N_("one of {0}"),
    N_("a value"),
    N_("an array"),
    N_("an integer"),
    N_("a number"),
    N_("an object"),
    N_("a string"),
    N_("true or false"),
    N_("a number of at least {0}"),
    N_("a number of at most {0}"),
    N_("a number greater than {0}"),
    N_("a number less than {0}"),
    N_("text of the form {0}"),
    N_("text of format {0}"),
    N_("at least {0} items"),
    N_("at most {0} items"),
    N_("at least {0} characters"),
    N_("at most {0} characters"),
    N_("items that differ"),
    N_("more than {0} (lower corner, then upper)"),
    N_("longitude between {0} and {1} (or name the crs)"),
    N_("latitude between {0} and {1} (or name the crs)"),
    N_("a GeoJSON geometry"),
    N_("a GeoJSON Feature"),
    N_("a GeoJSON FeatureCollection"),
    N_("a GeoJSON object"),
    N_("a GeoJSON type"),
    N_("a position of 2 or 3 finite numbers"),
    N_("a ring of at least 4 positions"),
    N_("a closed ring (last position equal to the first)"),
    N_("at least 2 positions"),
    N_("an https address"),
    N_("an address"),
    N_("an address at {0}"),
    N_("an address that ends with a file name"),
    N_("the value itself (this server fetches inputs from no host)"),
    N_("JSON"),
    N_("or"),
    # what it held instead
    N_("nothing"),
    N_("none of them"),
    N_("none"),
    N_("an open ring"),
    N_("{0} positions"),
    N_("the string {0}"),
    N_("a string of {0} characters"),
    N_("the number {0}"),
    N_("an array of {0}"),
    N_("the unknown member {0}"),
    N_("the unknown input {0}"),
    N_("the address {0}"),
    N_("text that is no JSON ({0})"),
    # titles of problems
    N_("The request is not valid"),
    N_("Who is asking?"),
    N_("Not allowed"),
    N_("The form is too old"),
    N_("The request comes from another site"),
    N_("No such process"),
    N_("No such job"),
    N_("No such collection"),
    N_("No such file"),
    N_("No such output"),
    N_("No such part of the job"),
    N_("Results are not ready"),
    N_("The job was dismissed"),
    N_("The files of the job were deleted"),
    N_("The job cannot be retried"),
    N_("The job store cannot be used now"),
    N_("Unknown query parameter"),
    N_("Invalid query parameter"),
    N_("Unknown format"),
    N_("Not acceptable"),
    N_("Not Found"),
    N_("Method Not Allowed"),
    N_("Request Entity Too Large"),
    N_("Internal Server Error"),
)


def word(name: str) -> str:
    """Return a status, state, verdict or reason in the language of the page; others as they are."""
    known = WORDS.get(name)
    return catalogue(negotiation.language()).gettext(known) if known else name


def said(sentence: str) -> Markup:
    """Return a sentence of the manager as HTML, marked as English where it stays English."""
    language = negotiation.language()
    text = translated(sentence, language)
    if text is None and language != "en" and any(map(str.isalpha, sentence)):
        return Markup('<span lang="en">{}</span>').format(sentence)
    return escape(text or sentence)


@functools.lru_cache(maxsize=4096)
def translated(sentence: str, language: str) -> str | None:
    """Return a sentence in a language; None when it is not known."""
    texts = catalogue(language)
    for pattern, source in _patterns():
        match = pattern.fullmatch(sentence)
        if match:
            gaps = [_part(part, language) for part in match.groups()]
            return texts.gettext(source).format(*gaps)
    parts = sentence.split(" or ")
    choices = [translated(part, language) for part in parts] if len(parts) > 1 else []
    if choices and all(choices):
        return f" {texts.gettext('or')} ".join(choice or "" for choice in choices)
    return None


def _part(text: str, language: str) -> str:
    """Return what stands in a gap: a word or sentence that is known itself, or a name."""
    if text in WORDS:
        return catalogue(language).gettext(WORDS[text])
    return translated(text, language) or text


@functools.cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(re.sub(r"\\\{\d\\\}", "(.+?)", re.escape(source)), re.DOTALL), source)
        for source in SENTENCES
    ]
