"""Clients of Scrip: CardPing for balance checks; scrip_sdk.cryptocardy, or CryptoCardy, for virtual cards."""

from .cardping import CardPing
from .errors import (
    AuthError,
    CardInvalidError,
    CardPingError,
    ConflictError,
    ConnectionFailed,
    InvalidRequestError,
    NetworkUnavailableError,
    NotFoundError,
    PermissionDenied,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    SignatureError,
)
from .types import BatchItem, Branding, DomainProof, Network, PingResult, Portal, PortalPage, Webhook
from .webhook import Event, verify_webhook

__all__ = [
    "AuthError",
    "BatchItem",
    "Branding",
    "CardInvalidError",
    "CardPing",
    "CardPingError",
    "ConflictError",
    "ConnectionFailed",
    "DomainProof",
    "Event",
    "InvalidRequestError",
    "Network",
    "NetworkUnavailableError",
    "NotFoundError",
    "PermissionDenied",
    "PingResult",
    "Portal",
    "PortalPage",
    "QuotaExceededError",
    "RateLimitError",
    "ServerError",
    "SignatureError",
    "Webhook",
    "verify_webhook",
]
