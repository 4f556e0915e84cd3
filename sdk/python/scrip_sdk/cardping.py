"""The balance checks, their networks, webhooks and portals."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union
from typing import List as ListOf
from urllib.parse import urlencode

from .errors import CardPingError, ConnectionFailed, ServerError, refusal
from .http import Api, Http, Options
from .types import BatchItem, Branding, Network, PingResult, Portal, PortalPage, Webhook, made
from .webhook import Event, verify_webhook


def _refuse(body: Any, **about: Any) -> CardPingError:
    return refusal(body.get("error") if isinstance(body, dict) else None, **about)


_API = Api("X-API-Key", "an API key, such as cp_test_sk_…", "CARDPING_BASE_URL", "/v1", _refuse, ConnectionFailed, ServerError)
_CHECK = ("card_number", "network", "pin", "currency", "idempotency_key")


class CardPing:
    """Client of one API under one key. It may be used by several threads at once.

    api_key decides the realm. base_url is where the API is, with or without /v1; unless
    given, CARDPING_BASE_URL, then http://127.0.0.1:8420. Other machines are reached by
    https alone, unless allow_http is set. Times are in seconds.
    """

    def __init__(
        self,
        api_key: str,
        base_url: Optional[str] = None,
        *,
        allow_http: bool = False,
        timeout: float = 60.0,
        max_retries: int = 3,
        retry_delay: float = 0.5,
        max_retry_after: float = 60.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = Http(_API, api_key, (base_url, allow_http), Options(timeout, max_retries, retry_delay, max_retry_after, wait))
        self.webhooks = Webhooks(self._http)
        self.portals = Portals(self._http)

    def ping(
        self,
        card_number: str,
        network: str,
        *,
        pin: Optional[str] = None,
        currency: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> PingResult:
        """Checks one card. Without an idempotency key it makes one, so that a repetition is the same check."""
        check = {"card_number": card_number, "network": network, "pin": pin, "currency": currency, "idempotency_key": idempotency_key}
        answer = self._http.send("POST", "/cards/ping", body=_keyed(check), repeatable=True)
        age = answer.headers.get("Age")
        return PingResult.of(answer.body, None if age is None else int(age))

    def ping_batch(self, checks: Sequence[Mapping[str, Optional[str]]]) -> ListOf[BatchItem]:
        """Checks up to 100 cards, each a mapping of the parameters of ping. Item i is what check i came to."""
        body = {"checks": [_keyed(check) for check in checks]}
        answer = self._http.send("POST", "/cards/ping/batch", body=body, repeatable=True)
        return [_item(item) for item in answer.body["results"]]

    def networks(self) -> ListOf[Network]:
        """Lists the networks that a check can name."""
        return [made(Network, item) for item in self._http.send("GET", "/networks", repeatable=True).body["data"]]


def _keyed(check: Mapping[str, Optional[str]]) -> Dict[str, str]:
    unknown = set(check) - set(_CHECK)
    if unknown:
        raise TypeError(f"a check has no {', '.join(sorted(unknown))}")
    body = {name: value for name, value in check.items() if value is not None}
    if not body.get("idempotency_key"):
        body["idempotency_key"] = str(uuid.uuid4())
    return body


def _item(item: Dict[str, Any]) -> BatchItem:
    if item.get("error"):
        return BatchItem(error=refusal(item["error"], retry_after=item.get("retry_after")))
    return BatchItem(result=PingResult.of(item["result"], item.get("age")))


def _segment(identifier: str) -> str:
    """An id as a part of a path; one that would lead elsewhere is a mistake of the caller."""
    if not isinstance(identifier, str) or not re.match(r"[A-Za-z0-9_-]+\Z", identifier):
        raise ValueError("the id must be one that the API gave")
    return identifier


def _given(**members: Any) -> Dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


class Webhooks:
    """Where events are sent. Reached as client.webhooks."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, url: str, events: Sequence[str]) -> Webhook:
        """Has events sent to an address; the answer alone shows the secret."""
        return made(Webhook, self._http.send("POST", "/webhooks", body={"url": url, "events": list(events)}).body)

    def list(self) -> ListOf[Webhook]:
        """Lists the webhooks, the oldest first."""
        return [made(Webhook, item) for item in self._http.send("GET", "/webhooks", repeatable=True).body["data"]]

    def update(
        self, webhook_id: str, *, url: Optional[str] = None, events: Optional[Sequence[str]] = None, active: Optional[bool] = None
    ) -> Webhook:
        """Changes what is given."""
        change = _given(url=url, events=None if events is None else list(events), active=active)
        return made(Webhook, self._http.send("PATCH", f"/webhooks/{_segment(webhook_id)}", body=change, repeatable=True).body)

    def delete(self, webhook_id: str) -> None:
        """Removes a webhook."""
        self._http.send("DELETE", f"/webhooks/{_segment(webhook_id)}", repeatable=True)

    def rotate(self, webhook_id: str) -> Webhook:
        """Makes a new secret; for 24 hours both sign."""
        return made(Webhook, self._http.send("POST", f"/webhooks/{_segment(webhook_id)}/rotate").body)

    def verify(
        self,
        raw_body: Union[bytes, bytearray, str],
        signature: Optional[str],
        secret: str,
        *,
        tolerance: float = 300,
        now: Optional[float] = None,
    ) -> Event:
        """Checks who sent a webhook and returns its event; see verify_webhook."""
        return verify_webhook(raw_body, signature, secret, tolerance=tolerance, now=now)


class Portals:
    """Pages on which cardholders check a balance. Reached as client.portals."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self,
        name: str,
        slug: str,
        *,
        custom_domain: Optional[str] = None,
        branding: Optional[Branding] = None,
        languages: Optional[Sequence[str]] = None,
        networks: Optional[Sequence[str]] = None,
        active: Optional[bool] = None,
    ) -> Portal:
        """Makes a portal; its page is served at once, unless active is False."""
        body = _portal(
            name=name, slug=slug, custom_domain=custom_domain, branding=branding, languages=languages, networks=networks, active=active
        )
        return Portal.of(self._http.send("POST", "/portals", body=body).body)

    def list(self, *, cursor: Optional[str] = None, limit: Optional[int] = None) -> PortalPage:
        """Lists a page, the newest first."""
        query = urlencode(_given(cursor=cursor, limit=limit))
        body = self._http.send("GET", f"/portals?{query}", repeatable=True).body
        return PortalPage([Portal.of(item) for item in body["data"]], body.get("next_cursor"))

    def get(self, portal_id: str) -> Portal:
        """Reads one portal."""
        return Portal.of(self._http.send("GET", f"/portals/{_segment(portal_id)}", repeatable=True).body)

    def update(
        self,
        portal_id: str,
        *,
        name: Optional[str] = None,
        slug: Optional[str] = None,
        custom_domain: Optional[str] = None,
        branding: Optional[Branding] = None,
        languages: Optional[Sequence[str]] = None,
        networks: Optional[Sequence[str]] = None,
        active: Optional[bool] = None,
    ) -> Portal:
        """Changes what is given; branding and lists are replaced as a whole, and an empty custom_domain gives the domain up."""
        body = _portal(
            name=name, slug=slug, custom_domain=custom_domain, branding=branding, languages=languages, networks=networks, active=active
        )
        return Portal.of(self._http.send("PATCH", f"/portals/{_segment(portal_id)}", body=body, repeatable=True).body)

    def verify(self, portal_id: str) -> Portal:
        """Has the record of the portal's domain looked for now."""
        return Portal.of(self._http.send("POST", f"/portals/{_segment(portal_id)}/verify", repeatable=True).body)

    def delete(self, portal_id: str) -> None:
        """Removes a portal."""
        self._http.send("DELETE", f"/portals/{_segment(portal_id)}", repeatable=True)


def _portal(
    *, branding: Optional[Branding], languages: Optional[Sequence[str]], networks: Optional[Sequence[str]], **members: Any
) -> Dict[str, Any]:
    return _given(
        branding=None if branding is None else branding.wire(),
        languages=None if languages is None else list(languages),
        networks=None if networks is None else list(networks),
        **members,
    )
