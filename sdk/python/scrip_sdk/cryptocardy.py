"""Virtual cards on a wallet that crypto funds: cards, transactions, the wallet, 3-D Secure codes, webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Callable, Dict, Generic, Mapping, Optional, Sequence, TypeVar, Union
from typing import List as ListOf
from urllib.parse import urlencode

from .errors import ApiError
from .http import Answer, Api, Http, Options
from .types import made
from .webhook import Event

T = TypeVar("T")
Amount = Union[int, Decimal, str, float]


class CryptoCardyError(ApiError):
    """Any refusal, any answer that makes no sense, and no answer at all. Decide by ``code``."""


def _refuse(body: Any, *, status: int, request_id: Optional[str], retry_after: Optional[int]) -> CryptoCardyError:
    known = body if isinstance(body, dict) and isinstance(body.get("error"), str) else {}
    message = known.get("message") or f"the server answered with status {status}"
    return CryptoCardyError(
        str(message),
        code=known.get("error", f"http_{status}"),
        status=status,
        request_id=known.get("request_id") or request_id,
        retry_after=retry_after,
    )


_API = Api(
    "X-Seed", "a seed, such as c4f4-6e88-036c-761c", "CRYPTOCARDY_BASE_URL", "/v1/api", _refuse, CryptoCardyError, CryptoCardyError
)


@dataclass(frozen=True)
class Card:
    """A card without what pays with it. What a list leaves out is None."""

    id: str
    bin_id: str
    network: str
    last4: str
    status: str
    """``pending_top_up``, ``active``, ``frozen`` or ``terminated``."""
    balance: Decimal
    label: str
    created_at: str
    spending_limit: Optional[Decimal] = None
    """The month's."""
    total_spent: Optional[Decimal] = None
    transaction_count: Optional[int] = None
    allowed_categories: Optional[ListOf[str]] = None
    auto_freeze_at: Optional[Decimal] = None
    metadata: Optional[Dict[str, str]] = None
    expires_at: Optional[str] = None
    last_used_at: Optional[str] = None
    currency: Optional[str] = None
    """That of the amounts where it is not US dollars."""


@dataclass(frozen=True)
class Details:
    """What pays. The number and the code show in no repr."""

    id: str
    pan: str = field(repr=False)
    cvv: str = field(repr=False)
    exp_month: int
    exp_year: int
    holder_name: str
    billing_address: Dict[str, str]


@dataclass(frozen=True)
class Frozen:
    """A card that was frozen."""

    id: str
    status: str
    frozen_at: str


@dataclass(frozen=True)
class Terminated:
    """A card that was terminated."""

    id: str
    status: str
    refunded_amount: Decimal
    terminated_at: str
    currency: Optional[str] = None
    """That of ``refunded_amount`` where it is not US dollars."""


@dataclass(frozen=True)
class Moved:
    """What a transfer between the wallet and a card did."""

    id: str
    previous_balance: Decimal
    new_balance: Decimal
    wallet_balance: Decimal
    funded_amount: Optional[Decimal] = None
    withdrawn_amount: Optional[Decimal] = None
    repaid: Optional[Decimal] = None
    """What a funding paid beside it of what was owed; None where nothing was."""


@dataclass(frozen=True)
class Merchant:
    """Who was paid."""

    name: str
    category: str
    mcc: str
    country: str


@dataclass(frozen=True)
class Transaction:
    """A line of a card's history. ``get`` alone fills in what can be None."""

    id: str
    card_id: str
    type: str
    """``authorization``, ``settlement``, ``refund`` or ``decline``."""
    amount: Decimal
    """Below zero for what is, or would have been, spent."""
    currency: str
    merchant: Merchant
    balance_after: Decimal
    created_at: str
    authorization_id: Optional[str] = None
    status: Optional[str] = None
    decline: Optional[Dict[str, str]] = None
    three_ds: Optional[Dict[str, str]] = None
    timeline: Optional[ListOf[Dict[str, Any]]] = None


@dataclass(frozen=True)
class Balance:
    """The wallet. balance is total_deposited less total_spent."""

    balance: Decimal
    currency: str
    pending_deposits: Decimal
    total_deposited: Decimal
    total_spent: Decimal
    cards_active: int
    cards_total_balance: Decimal
    owed: Optional[Decimal] = None
    """For payments that took more than was on a card; None where nothing is owed."""
    owed_in: Optional[Dict[str, Decimal]] = None
    """What is owed so in other currencies, by their codes."""


@dataclass(frozen=True)
class DepositAddresses:
    """Where to send which currency, on which network, and how much at least."""

    addresses: Dict[str, str]
    networks: Dict[str, str]
    min_deposit: Dict[str, str]


@dataclass(frozen=True)
class Deposit:
    """Crypto that arrived."""

    id: str
    currency: str
    amount_crypto: str
    amount_usd: Decimal
    fee_usd: Decimal
    credited_usd: Decimal
    status: str
    tx_hash: str
    confirmations: int
    created_at: str
    confirmed_at: Optional[str]


@dataclass(frozen=True)
class BIN:
    """A range of card numbers and what its cards can do."""

    id: str
    network: str
    type: str
    issuer_country: str
    three_ds: bool
    apple_pay: bool
    google_pay: bool
    max_transaction: Decimal
    max_monthly: Decimal
    acceptance_rate: Decimal
    """In percent."""
    best_for: ListOf[str]


@dataclass(frozen=True)
class Challenge:
    """A 3-D Secure challenge. Its one-time code shows in no repr."""

    id: str
    card_id: str
    merchant: str
    amount: Decimal
    otp: str = field(repr=False)
    status: str
    """``pending``, ``completed`` or ``expired``."""
    expires_at: str
    created_at: str
    currency: Optional[str] = None
    """That of ``amount`` where it is not US dollars."""


@dataclass(frozen=True)
class Webhook:
    """Where events are sent. ``create`` alone fills in the secret."""

    id: str
    url: str
    events: ListOf[str]
    active: bool
    created_at: str
    secret: Optional[str] = field(default=None, repr=False)
    reason: Optional[str] = None


@dataclass(frozen=True)
class Pagination:
    """Where a page is among all."""

    page: int
    per_page: int
    total: int
    total_pages: int


@dataclass(frozen=True)
class Page(Generic[T]):
    """A list, or a page of one; lists that have no pages have no pagination."""

    data: ListOf[T]
    pagination: Optional[Pagination] = None


class Client:
    """Client of one API under one seed. It may be used by several threads at once.

    The seed decides whose cards, and in which realm. base_url is where the API is, with or
    without /v1/api; unless given, CRYPTOCARDY_BASE_URL, then http://127.0.0.1:8420. Other
    machines are reached by https alone, unless allow_http is set. Times are in seconds.

    Every call is sent again after lost connections and answers that pass. Those that change
    something carry an X-Idempotency-Key, yours or one that is made, so that they are done once.
    """

    def __init__(
        self,
        seed: str,
        base_url: Optional[str] = None,
        *,
        allow_http: bool = False,
        timeout: float = 60.0,
        max_retries: int = 3,
        retry_delay: float = 0.5,
        max_retry_after: float = 60.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = Http(_API, seed, (base_url, allow_http), Options(timeout, max_retries, retry_delay, max_retry_after, wait))
        self.cards = Cards(self._http)
        self.transactions = Transactions(self._http)
        self.wallet = Wallet(self._http)
        self.bins = Bins(self._http)
        self.threeds = ThreeDS(self._http)
        self.webhooks = Webhooks(self._http)


class _Calls:
    def __init__(self, http: Http) -> None:
        self._http = http

    def _read(self, path: str, **query: Any) -> Dict[str, Any]:
        given = urlencode(_given(**query))
        return _named(self._http.send("GET", f"{path}?{given}" if given else path, repeatable=True).body)

    def _change(self, method: str, path: str, key: Optional[str], body: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        headers = {"X-Idempotency-Key": key or str(uuid.uuid4())}
        answer: Answer = self._http.send(method, path, body=body, repeatable=True, keyed=True, headers=headers)
        return _named(answer.body or {})


class Cards(_Calls):
    """Cards. Reached as client.cards."""

    def create(
        self,
        bin_id: str,
        amount: Amount,
        *,
        label: Optional[str] = None,
        spending_limit: Optional[Amount] = None,
        allowed_categories: Optional[Sequence[str]] = None,
        auto_freeze_at: Optional[Amount] = None,
        metadata: Optional[Mapping[str, str]] = None,
        idempotency_key: Optional[str] = None,
    ) -> Card:
        """Makes a card with an amount of the wallet on it."""
        body = _settings(
            label=label, spending_limit=spending_limit, allowed_categories=allowed_categories, auto_freeze_at=auto_freeze_at, metadata=metadata
        )
        return made(Card, self._change("POST", "/cards", idempotency_key, {"bin_id": bin_id, "amount": _number(amount), **body}))

    def list(
        self,
        *,
        status: Optional[str] = None,
        bin_id: Optional[str] = None,
        label: Optional[str] = None,
        sort: Optional[str] = None,
        order: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Page[Card]:
        """Lists cards, the newest first unless said otherwise."""
        found = self._read("/cards", status=status, bin_id=bin_id, label=label, sort=sort, order=order, page=page, per_page=per_page)
        return _page(found, Card)

    def get(self, card_id: str) -> Card:
        """Reads one card."""
        return made(Card, self._read(_path("/cards", card_id)))

    def details(self, card_id: str) -> Details:
        """Reads number, code and expiry. Each call is on record."""
        return made(Details, self._read(_path("/cards", card_id, "details")))

    def update(
        self,
        card_id: str,
        *,
        label: Optional[str] = None,
        spending_limit: Optional[Amount] = None,
        allowed_categories: Optional[Sequence[str]] = None,
        auto_freeze_at: Optional[Amount] = None,
        metadata: Optional[Mapping[str, Optional[str]]] = None,
        idempotency_key: Optional[str] = None,
    ) -> Card:
        """Changes what is given. An auto_freeze_at of 0 turns it off; metadata is merged, and None takes a member away."""
        body = _settings(
            label=label, spending_limit=spending_limit, allowed_categories=allowed_categories, auto_freeze_at=auto_freeze_at, metadata=metadata
        )
        return made(Card, self._change("PATCH", _path("/cards", card_id), idempotency_key, body))

    def freeze(self, card_id: str, *, idempotency_key: Optional[str] = None) -> Frozen:
        """Suspends a card; its balance stays."""
        return made(Frozen, self._change("POST", _path("/cards", card_id, "freeze"), idempotency_key))

    def unfreeze(self, card_id: str, *, idempotency_key: Optional[str] = None) -> Card:
        """Ends a suspension."""
        return made(Card, self._change("POST", _path("/cards", card_id, "unfreeze"), idempotency_key))

    def terminate(self, card_id: str, *, idempotency_key: Optional[str] = None) -> Terminated:
        """Ends a card for good; its balance goes back to the wallet."""
        return made(Terminated, self._change("DELETE", _path("/cards", card_id), idempotency_key))

    def fund(self, card_id: str, amount: Amount, *, idempotency_key: Optional[str] = None) -> Moved:
        """Moves an amount of the wallet to a card."""
        return made(Moved, self._change("POST", _path("/cards", card_id, "fund"), idempotency_key, {"amount": _number(amount)}))

    def withdraw(self, card_id: str, amount: Amount, *, idempotency_key: Optional[str] = None) -> Moved:
        """Moves an amount of a card back to the wallet."""
        return made(Moved, self._change("POST", _path("/cards", card_id, "withdraw"), idempotency_key, {"amount": _number(amount)}))


class Transactions(_Calls):
    """The history of all cards. Reached as client.transactions."""

    def list(
        self,
        *,
        card_id: Optional[str] = None,
        type: Optional[str] = None,
        since: Optional[str] = None,
        until: Optional[str] = None,
        merchant: Optional[str] = None,
        min_amount: Optional[Amount] = None,
        max_amount: Optional[Amount] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Page[Transaction]:
        """Lists lines, the newest first. since and until are ISO 8601, or days."""
        bounds = {"from": since, "to": until}
        found = self._read(
            "/transactions", card_id=card_id, type=type, merchant=merchant, min_amount=min_amount, max_amount=max_amount,
            page=page, per_page=per_page, **bounds,
        )  # fmt: skip
        lines = [_transaction(line) for line in found["data"]]
        return Page(lines, made(Pagination, found["pagination"]))

    def get(self, transaction_id: str) -> Transaction:
        """Reads a line with all that is known of its payment."""
        return _transaction(self._read(_path("/transactions", transaction_id)))


class Wallet(_Calls):
    """What cards are funded from. Reached as client.wallet."""

    def balance(self) -> Balance:
        """Reads the balance and what led to it."""
        return made(Balance, self._read("/wallet/balance"))

    def deposit_address(self, currency: Optional[str] = None) -> DepositAddresses:
        """Reads where to send crypto, of one currency or all."""
        return made(DepositAddresses, self._read("/wallet/deposit-address", currency=currency))

    def deposits(
        self, *, status: Optional[str] = None, currency: Optional[str] = None, page: Optional[int] = None, per_page: Optional[int] = None
    ) -> Page[Deposit]:
        """Lists deposits, the newest first."""
        return _page(self._read("/wallet/deposits", status=status, currency=currency, page=page, per_page=per_page), Deposit)


class Bins(_Calls):
    """Ranges of card numbers. Reached as client.bins."""

    def list(self) -> Page[BIN]:
        """Lists what a card can be made of."""
        return _page(self._read("/bins"), BIN)


class ThreeDS(_Calls):
    """3-D Secure challenges with their one-time codes. Reached as client.threeds."""

    def list(
        self, *, card_id: Optional[str] = None, status: Optional[str] = None, page: Optional[int] = None, per_page: Optional[int] = None
    ) -> Page[Challenge]:
        """Lists challenges, the newest first."""
        return _page(self._read("/3ds", card_id=card_id, status=status, page=page, per_page=per_page), Challenge)

    def get(self, challenge_id: str) -> Challenge:
        """Reads one challenge."""
        return made(Challenge, self._read(_path("/3ds", challenge_id)))


class Webhooks(_Calls):
    """Where events are sent. Reached as client.webhooks."""

    def create(
        self, url: str, events: Sequence[str], *, secret: Optional[str] = None, idempotency_key: Optional[str] = None
    ) -> Webhook:
        """Has events sent to an address; ["*"] is all of them. The answer alone shows the secret."""
        body = _given(url=url, events=list(events), secret=secret)
        return made(Webhook, self._change("POST", "/webhooks", idempotency_key, body))

    def list(self) -> Page[Webhook]:
        """Lists the webhooks, the oldest first."""
        return _page(self._read("/webhooks"), Webhook)

    def delete(self, webhook_id: str, *, idempotency_key: Optional[str] = None) -> None:
        """Removes a webhook."""
        self._change("DELETE", _path("/webhooks", webhook_id), idempotency_key)

    def verify(self, payload: Union[bytes, bytearray, str], signature: Optional[str], secret: str) -> Event:
        """Checks who sent a webhook and returns its event.

        payload is the body as it came, signature the header X-CryptoCardy-Signature. Raises
        CryptoCardyError with the code ``signature_invalid`` for what must not be believed.
        """
        if not verify_webhook(payload, signature, secret):
            raise CryptoCardyError("the signature does not match", code="signature_invalid")
        try:
            parsed = json.loads(bytes(payload) if isinstance(payload, bytearray) else payload, parse_float=Decimal)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict) or not isinstance(parsed.get("type"), str):
            raise CryptoCardyError("the signature is right and the body is no event", code="signature_invalid")
        return Event(parsed.get("id", ""), parsed["type"], parsed.get("created_at", ""), parsed.get("data", {}))


def verify_webhook(payload: Union[bytes, bytearray, str], signature: Optional[str], secret: str) -> bool:
    """Reports whether a webhook's signature was made with its secret over these very bytes."""
    if not isinstance(payload, (bytes, bytearray, str)):
        raise TypeError("payload must be the text or the bytes of the request, before they are parsed")
    if not secret or not isinstance(signature, str) or not signature.isascii():
        return False
    body = payload.encode() if isinstance(payload, str) else bytes(payload)
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)


def _given(**members: Any) -> Dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _settings(
    *,
    spending_limit: Optional[Amount],
    auto_freeze_at: Optional[Amount],
    allowed_categories: Optional[Sequence[str]],
    metadata: Optional[Mapping[str, Optional[str]]],
    **members: Any,
) -> Dict[str, Any]:
    return _given(
        spending_limit=None if spending_limit is None else _number(spending_limit),
        auto_freeze_at=None if auto_freeze_at is None else _number(auto_freeze_at),
        allowed_categories=None if allowed_categories is None else list(allowed_categories),
        metadata=None if metadata is None else dict(metadata),
        **members,
    )


def _number(amount: Amount) -> Union[int, float]:
    """An amount as a JSON number: up to a hundred thousand million, two decimals come out as they went in."""
    exact = Decimal(str(amount))
    if not exact.is_finite():
        raise ValueError("an amount is a decimal number")
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _path(root: str, identifier: str, action: str = "") -> str:
    """An id as a part of a path; one that would lead elsewhere is a mistake of the caller."""
    if not isinstance(identifier, str) or not re.match(r"[A-Za-z0-9_-]+\Z", identifier):
        raise ValueError("the id must be one that the API gave")
    return f"{root}/{identifier}/{action}" if action else f"{root}/{identifier}"


_MONEY = frozenset(
    "balance spending_limit total_spent auto_freeze_at refunded_amount previous_balance funded_amount withdrawn_amount new_balance "
    "wallet_balance amount balance_after pending_deposits total_deposited cards_total_balance owed repaid amount_usd fee_usd credited_usd "
    "max_transaction max_monthly acceptance_rate".split()
)


def _named(value: Any) -> Any:
    """Gives 3ds a name that Python can write, and makes all amounts Decimals."""
    if isinstance(value, list):
        return [_named(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {"three_ds" if name == "3ds" else name: member if name == "metadata" else _named(member) for name, member in value.items()}
    return {name: Decimal(member) if name in _MONEY and isinstance(member, (int, Decimal)) else member for name, member in named.items()}


def _page(body: Dict[str, Any], kind: Callable[..., T]) -> Page[T]:
    pagination = body.get("pagination")
    return Page([made(kind, item) for item in body["data"]], pagination and made(Pagination, pagination))  # type: ignore[arg-type]


def _transaction(line: Dict[str, Any]) -> Transaction:
    return made(Transaction, line, merchant=made(Merchant, line["merchant"]))
