"""Sends requests, and sends those again that may be."""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import random
import re
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Callable, Mapping, Optional
from urllib.parse import urlsplit

from .errors import CardPingError, ConnectionFailed, ServerError, refusal

_MAX_ANSWER = 4 << 20  # bytes
_LONGEST_DELAY = 8.0  # seconds, of those that nobody asked for
_USER_AGENT = "scrip-sdk-python/0.1.0"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would carry key and card number to wherever it says."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Answer:
    """A success."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Options:
    """How a client sends; times are in seconds."""

    timeout: float = 60.0
    max_retries: int = 3
    retry_delay: float = 0.5
    max_retry_after: float = 60.0
    wait: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        _bounded("timeout", self.timeout, 0.001, 600)
        _bounded("max_retries", self.max_retries, 0, 10)
        _bounded("retry_delay", self.retry_delay, 0, _LONGEST_DELAY)
        _bounded("max_retry_after", self.max_retry_after, 0, 3600)


class Http:
    """One API under one key, which shows in no output."""

    def __init__(self, api_key: str, base_url: Optional[str], allow_http: bool, options: Options) -> None:
        if not isinstance(api_key, str) or not re.match(r"[\x21-\x7e]+\Z", api_key):
            raise ValueError("api_key must be an API key, such as cp_test_sk_…")
        self._base = _base_of(base_url, allow_http)
        self._options = options
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._authorize: Callable[[urllib.request.Request], None] = lambda request: request.add_header("X-API-Key", api_key)

    def send(self, method: str, path: str, *, body: Any = None, repeatable: bool = False) -> Answer:
        """Sends one request, with repetitions. A repeatable one does the same when it is sent twice."""
        data = None if body is None else json.dumps(body).encode()
        attempt = 0
        while True:
            try:
                return self._once(method, path, data)
            except CardPingError as error:
                if attempt > 0 and method == "DELETE" and error.status == 404:
                    return Answer(204, {}, None)
                if attempt >= self._options.max_retries or not self._worth_repeating(error, repeatable):
                    raise
                pause = self._delay(attempt, error.retry_after)
            self._options.wait(pause)
            attempt += 1

    def _worth_repeating(self, error: CardPingError, repeatable: bool) -> bool:
        if error.code == "quota_exceeded" or (error.retry_after or 0) > self._options.max_retry_after:
            return False
        # Limits come before any work: whatever was refused by one was not done.
        if error.code == "rate_limited":
            return True
        return repeatable and (isinstance(error, ConnectionFailed) or error.status in (429, 500, 502, 503, 504))

    def _delay(self, attempt: int, retry_after: Optional[int]) -> float:
        """What the server asked for, or twice as long each time with half of it left to chance."""
        if retry_after is not None:
            return float(retry_after)
        longest = min(_LONGEST_DELAY, self._options.retry_delay * 2**attempt)
        return longest / 2 + random.random() * longest / 2

    def _once(self, method: str, path: str, data: Optional[bytes]) -> Answer:
        request = urllib.request.Request(f"{self._base}/v1{path}", data=data, method=method)
        self._authorize(request)
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", _USER_AGENT)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            try:
                with self._opener.open(request, timeout=self._options.timeout) as response:
                    return _answer(response.status, response.headers, response.read(_MAX_ANSWER + 1))
            except urllib.error.HTTPError as refused:
                with refused:
                    return _answer(refused.code, refused.headers, refused.read(_MAX_ANSWER + 1))
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, (socket.timeout, TimeoutError)):
                raise ConnectionFailed(f"no answer within {self._options.timeout} seconds", code="timed_out") from None
            raise ConnectionFailed("the connection failed", code="connection_failed") from error


def _answer(status: int, headers: Mapping[str, str], raw: bytes) -> Answer:
    request_id = headers.get("X-Request-Id")
    if len(raw) > _MAX_ANSWER:
        raise ServerError("the answer is too long", code="invalid_answer", status=status, request_id=request_id)
    try:
        body = json.loads(raw.decode(), parse_float=Decimal)
    except ValueError:
        body = None
    if not 200 <= status <= 299:
        problem = body.get("error") if isinstance(body, dict) else None
        raise refusal(problem, status=status, request_id=request_id, retry_after=_seconds(headers.get("Retry-After")))
    if status != 204 and not isinstance(body, dict):
        raise ServerError("the answer is not a JSON object", code="invalid_answer", status=status, request_id=request_id)
    return Answer(status, headers, body)


def _base_of(base_url: Optional[str], allow_http: bool) -> str:
    """Where the API is, without /v1 and slashes at the end. Keys and numbers go in the clear to this machine alone."""
    url = urlsplit(base_url or os.environ.get("CARDPING_BASE_URL") or "http://127.0.0.1:8420")
    local = url.hostname in ("127.0.0.1", "localhost", "::1")
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and (local or allow_http))):
        raise ValueError("base_url must begin with https://, or allow_http must be set")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("base_url must be a scheme, a host and perhaps a path")
    base = f"{url.scheme}://{url.netloc}{url.path}".rstrip("/")
    return base[: -len("/v1")] if base.endswith("/v1") else base


def _bounded(name: str, value: float, least: float, most: float) -> None:
    if not (isinstance(value, (int, float)) and least <= value <= most):
        raise ValueError(f"{name} must be a number from {least} to {most}")


def _seconds(header: Optional[str]) -> Optional[int]:
    """Seconds of a Retry-After, which is a number or a date; None without one."""
    if header is None:
        return None
    text = header.strip()
    if re.match(r"[0-9]{1,9}\Z", text):
        return int(text)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return None
    return max(0, int(at - time.time()) + 1)
