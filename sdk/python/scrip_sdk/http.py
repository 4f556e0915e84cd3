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
from typing import Any, Callable, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from .errors import ApiError

_MAX_ANSWER = 4 << 20  # bytes
_LONGEST_DELAY = 8.0  # seconds, of those that nobody asked for
_USER_AGENT = "scrip-sdk-python/0.1.0"
_LOCAL = ("127.0.0.1", "localhost", "::1")


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
class Api:
    """What differs between the APIs."""

    header: str
    """Where the credential stands."""
    credential: str
    """What the credential is called, with an example."""
    variable: str
    """Of the environment: where the API is."""
    root: str
    """The path that all calls are below."""
    refuse: Callable[..., ApiError]
    """Makes the error of a refusal from the body of an answer."""
    connection: Callable[..., ApiError]
    """Makes the error of a call without an answer."""
    nonsense: Callable[..., ApiError]
    """Makes the error of an answer that makes no sense."""


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
    """One API under one credential, which shows in no output."""

    def __init__(self, api: Api, credential: str, where: Tuple[Optional[str], bool], options: Options) -> None:
        if not isinstance(credential, str) or not re.match(r"[\x21-\x7e]+\Z", credential):
            raise ValueError(f"want {api.credential}")
        base_url, allow_http = where
        self._api = api
        self._base = _base_of(base_url or os.environ.get(api.variable), allow_http, api.root)
        self._options = options
        # urllib would send what is for this machine to a proxy of the environment, in the clear.
        direct = [urllib.request.ProxyHandler({})] if urlsplit(self._base).hostname in _LOCAL else []
        self._opener = urllib.request.build_opener(_NoRedirect, *direct)
        self._authorize: Callable[[urllib.request.Request], None] = lambda request: request.add_header(api.header, credential)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        repeatable: bool = False,
        keyed: bool = False,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Answer:
        """Sends one request, with repetitions. A repeatable one does the same when it is sent twice.

        A keyed one is sent under a key: whoever sends it again gets its first answer.
        """
        data = None if body is None else json.dumps(body).encode()
        attempt = 0
        lost = False  # an attempt that may have been carried out all the same
        while True:
            try:
                return self._once(method, path, data, headers or {})
            except ApiError as error:
                if lost and not keyed and method == "DELETE" and error.status == 404:
                    return Answer(204, {}, None)
                if attempt >= self._options.max_retries or not self._worth_repeating(error, repeatable):
                    raise
                lost = lost or error.status is None or error.status >= 500
                pause = self._delay(attempt, error.retry_after)
            self._options.wait(pause)
            attempt += 1

    def _worth_repeating(self, error: ApiError, repeatable: bool) -> bool:
        if error.code == "quota_exceeded" or (error.retry_after or 0) > self._options.max_retry_after:
            return False
        # Limits come before any work: whatever was refused by one was not done.
        if error.code == "rate_limited":
            return True
        return repeatable and (error.status is None or error.status in (429, 500, 502, 503, 504))

    def _delay(self, attempt: int, retry_after: Optional[int]) -> float:
        """What the server asked for, or twice as long each time with half of it left to chance."""
        if retry_after is not None:
            return float(retry_after)
        longest = min(_LONGEST_DELAY, self._options.retry_delay * 2**attempt)
        return longest / 2 + random.random() * longest / 2

    def _once(self, method: str, path: str, data: Optional[bytes], headers: Mapping[str, str]) -> Answer:
        request = urllib.request.Request(f"{self._base}{self._api.root}{path}", data=data, method=method)
        self._authorize(request)
        for name, value in headers.items():
            request.add_header(name, value)
        request.add_header("Accept", "application/json")
        request.add_header("User-Agent", _USER_AGENT)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            try:
                with self._opener.open(request, timeout=self._options.timeout) as response:
                    return self._answer(response.status, response.headers, response.read(_MAX_ANSWER + 1))
            except urllib.error.HTTPError as refused:
                with refused:
                    return self._answer(refused.code, refused.headers, refused.read(_MAX_ANSWER + 1))
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, (socket.timeout, TimeoutError)):
                raise self._api.connection(f"no answer within {self._options.timeout} seconds", code="timed_out") from None
            raise self._api.connection("the connection failed", code="connection_failed") from error


    def _answer(self, status: int, headers: Mapping[str, str], raw: bytes) -> Answer:
        request_id = headers.get("X-Request-Id")
        if len(raw) > _MAX_ANSWER:
            raise self._api.nonsense("the answer is too long", code="invalid_answer", status=status, request_id=request_id)
        try:
            body = json.loads(raw.decode(), parse_float=Decimal)
        except ValueError:
            body = None
        if not 200 <= status <= 299:
            raise self._api.refuse(body, status=status, request_id=request_id, retry_after=_seconds(headers.get("Retry-After")))
        if status != 204 and not isinstance(body, dict):
            raise self._api.nonsense("the answer is not a JSON object", code="invalid_answer", status=status, request_id=request_id)
        return Answer(status, headers, body)


def _base_of(base_url: Optional[str], allow_http: bool, root: str) -> str:
    """Where the API is, without its root and slashes at the end. Credentials go in the clear to this machine alone."""
    url = urlsplit(base_url or "http://127.0.0.1:8420")
    local = url.hostname in _LOCAL
    if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and (local or allow_http))):
        raise ValueError("base_url must begin with https://, or allow_http must be set")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("base_url must be a scheme, a host and perhaps a path")
    base = f"{url.scheme}://{url.netloc}{url.path}".rstrip("/")
    return base[: -len(root)] if base.endswith(root) else base


def _bounded(name: str, value: float, least: float, most: float) -> None:
    if not (isinstance(value, (int, float)) and least <= value <= most):
        raise ValueError(f"{name} must be a number from {least} to {most}")


def _seconds(header: Optional[str]) -> Optional[int]:
    """Seconds of a Retry-After, which is a number or a date; None without one."""
    if header is None:
        return None
    text = header.strip()
    if re.match(r"[0-9]{1,99}\Z", text):
        return int(text)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return None
    return max(0, int(at - time.time()) + 1)
