"""What an API server may do to those who call it; each is a fault for the proxy."""

from __future__ import annotations

import json
import random
import time

from tests.cluster.api_proxy import Exchange, Fault


def refusing(status: int, reason: str, share: float, retry_after_s: int | None = None) -> Fault:
    """Answer a share of the calls with an error."""
    dice = random.Random(status)
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}

    def strike(exchange: Exchange) -> bool:
        if dice.random() >= share:
            return False
        exchange.answer(status, reason, headers)
        return True

    return strike


def breaking(share: float) -> Fault:
    """Break a share of the connections before the call was carried out."""
    dice = random.Random(1)

    def strike(exchange: Exchange) -> bool:
        if dice.random() >= share:
            return False
        exchange.cut()
        return True

    return strike


def garbling(share: float) -> Fault:
    """Answer a share of the calls with what a proxy in between might say: a page of HTML."""
    dice = random.Random(2)

    def strike(exchange: Exchange) -> bool:
        if dice.random() >= share:
            return False
        page = b"<html><body>Welcome! Please log in.</body></html>"
        exchange.send_response(200)
        exchange.send_header("Content-Type", "text/html")
        exchange.send_header("Content-Length", str(len(page)))
        exchange.end_headers()
        exchange.wfile.write(page)
        return True

    return strike


def delaying(seconds: float) -> Fault:
    """Take long over every call, and over every watch to begin."""

    def strike(exchange: Exchange) -> bool:
        time.sleep(seconds)
        exchange.pass_on()
        return True

    return strike


def expired(exchange: Exchange) -> bool:
    """Know nothing of the version that a watch wants to go on from, and say so at once."""
    if not exchange.watches:
        return False
    exchange.answer(410, "Expired")
    return True


def expiring(exchange: Exchange) -> bool:
    """Begin a watch, and find out only then that its version is too old."""
    if not exchange.watches:
        return False
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    event = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
    exchange.send_response(200)
    exchange.send_header("Content-Type", "application/json")
    exchange.begin_stream()
    exchange.send_chunk(event)
    exchange.send_chunk(b"")
    return True


def ending(exchange: Exchange) -> bool:
    """End every watch as soon as it has begun, as a server does that is being stopped."""
    if not exchange.watches:
        return False
    exchange.send_response(200)
    exchange.send_header("Content-Type", "application/json")
    exchange.begin_stream()
    exchange.send_chunk(b"")
    return True


def losing_answers(exchange: Exchange) -> bool:
    """Carry out what is to be created and break the connection instead of answering."""
    if not exchange.creates:
        return False
    response = exchange.ask()
    response.read()
    response.close()
    exchange.cut()
    return True
