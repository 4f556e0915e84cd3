"""Verifies webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Dict, List, Optional, Tuple, Union

from .errors import SignatureError

_MAX_HEADER = 1024  # characters
_MAX_SIGNATURES = 8
_TIME = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}\Z")


@dataclass(frozen=True)
class Event:
    """An event as it was sent: the names in data are the wire's, numbers with decimals are Decimal."""

    id: str
    type: str
    created_at: str
    data: Dict[str, Any]


def verify_webhook(
    raw_body: Union[bytes, bytearray, str],
    signature: Optional[str],
    secret: str,
    *,
    tolerance: float = 300,
    now: Optional[float] = None,
) -> Event:
    """Checks who sent a webhook and returns its event.

    raw_body is the body as it came, before anything parsed it; signature the header
    CP-Signature; secret the webhook's, whsec_…. tolerance is how many seconds the
    signature may be old or ahead of now, the seconds since 1970.

    Raises SignatureError when the signature is malformed, not made with the secret, or too old.
    """
    if not isinstance(raw_body, (bytes, bytearray, str)):
        raise TypeError("raw_body must be the text or the bytes of the request, before they are parsed")
    if not secret:
        raise _refused("signature_invalid", "there is no secret to verify with")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError("tolerance must be a number of seconds")
    body = raw_body.encode() if isinstance(raw_body, str) else bytes(raw_body)
    signed_at, signatures = _parse(signature)
    want = hmac.new(secret.encode(), f"{signed_at}.".encode() + body, hashlib.sha256).digest()
    matches = [hmac.compare_digest(got, want) for got in signatures]
    if not any(matches):
        raise _refused("signature_invalid", "the signature does not match")
    if abs((time.time() if now is None else now) - int(signed_at)) > tolerance:
        raise _refused("timestamp_skewed", f"the signature is more than {tolerance} seconds old or ahead")
    return _event(body)


def _parse(header: Optional[str]) -> Tuple[str, List[bytes]]:
    """Reads t=<seconds>,v1=<hex>… in any order; names it does not know are left to later versions."""
    malformed = _refused("signature_invalid", "the signature header is missing or malformed")
    if not isinstance(header, str) or len(header) > _MAX_HEADER:
        raise malformed
    times: List[str] = []
    signatures: List[str] = []
    for part in header.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise malformed
        if name == "t":
            times.append(value)
        elif name == "v1":
            signatures.append(value)
    if len(times) != 1 or not _TIME.match(times[0]) or not 1 <= len(signatures) <= _MAX_SIGNATURES:
        raise malformed
    if not all(_SIGNATURE.match(value) for value in signatures):
        raise malformed
    return times[0], [bytes.fromhex(value) for value in signatures]


def _event(body: bytes) -> Event:
    try:
        parsed = json.loads(body.decode(), parse_float=Decimal)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("type"), str):
        raise _refused("signature_invalid", "the signature is right and the body is no event")
    return Event(parsed.get("id", ""), parsed["type"], parsed.get("created_at", ""), parsed.get("data", {}))


def _refused(code: str, message: str) -> SignatureError:
    return SignatureError(message, code=code)
