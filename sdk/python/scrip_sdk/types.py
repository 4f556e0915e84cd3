"""What the API answers with. Members that a newer API adds are left out."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Dict, List, Optional, Type, TypeVar

from .errors import CardPingError

T = TypeVar("T")


def made(kind: Type[T], members: Dict[str, Any], **more: Any) -> T:
    """Makes a kind of the members that it knows."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in {**members, **more}.items() if name in names})


@dataclass(frozen=True)
class PingResult:
    """What a check found."""

    id: str
    status: str
    """``active``, ``inactive``, ``expired`` or ``invalid``."""
    balance: Decimal
    """In major units of the currency."""
    currency: str
    expiry: Optional[str]
    """``YYYY-MM``; None when the network does not say."""
    fraud_score: float
    """From 0.0, clean, to 1.0, high risk."""
    fraud_signals: List[str]
    ai_verified: bool
    network: str
    latency_ms: int
    age: Optional[int] = None
    """How many seconds old the balance is."""

    @classmethod
    def of(cls, members: Dict[str, Any], age: Optional[int]) -> PingResult:
        """Reads a result of the wire."""
        return made(cls, members, balance=Decimal(members["balance"]), fraud_score=float(members["fraud_score"]), age=age)


@dataclass(frozen=True)
class BatchItem:
    """What one check of a batch came to: a result or an error."""

    result: Optional[PingResult] = None
    error: Optional[CardPingError] = None


@dataclass(frozen=True)
class Network:
    """A network that a check can name."""

    id: str
    name: str
    type: str
    pin_required: bool
    currencies: List[str]
    number_lengths: List[int]
    status: str
    """``operational``, ``degraded`` or ``down``."""


@dataclass(frozen=True)
class Webhook:
    """Where events are sent."""

    id: str
    url: str
    events: List[str]
    active: bool
    created_at: str
    secret: Optional[str] = field(default=None, repr=False)
    """What requests are signed with, in the answers that make it alone."""
    reason: Optional[str] = None
    """Why it is not active."""
    previous_until: Optional[str] = None
    """How long the secret before the last rotation signs too."""


@dataclass(frozen=True)
class Branding:
    """How a portal looks."""

    logo_url: Optional[str] = None
    primary_color: Optional[str] = None
    text_color: Optional[str] = None
    tagline: Optional[str] = None
    support_url: Optional[str] = None
    privacy_url: Optional[str] = None

    def wire(self) -> Dict[str, str]:
        """Returns the members that are set."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}


@dataclass(frozen=True)
class DomainProof:
    """The record of DNS that shows whose a domain is."""

    state: str
    """``pending`` or ``verified``."""
    record_type: str
    record_name: str
    record_text: str
    checked_at: Optional[str] = None


@dataclass(frozen=True)
class Portal:
    """A page on which cardholders check a balance."""

    id: str
    name: str
    slug: str
    custom_domain: Optional[str]
    branding: Branding
    languages: List[str]
    networks: List[str]
    active: bool
    created_at: str
    domain_proof: Optional[DomainProof] = None
    """What shows that the domain is yours; None without one."""

    @classmethod
    def of(cls, members: Dict[str, Any]) -> Portal:
        """Reads a portal of the wire."""
        proof = members.get("domain_proof")
        return made(
            cls, members, branding=made(Branding, members["branding"]), domain_proof=None if proof is None else made(DomainProof, proof)
        )


@dataclass(frozen=True)
class PortalPage:
    """A page of portals; next_cursor is None on the last one."""

    data: List[Portal]
    next_cursor: Optional[str]
