"""Errors that the client raises. Decide by class or by ``code``; the text is for people."""

from __future__ import annotations

from typing import Any, Dict, Optional, Type


class ApiError(Exception):
    """What the errors of all APIs have in common."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "unknown",
        status: Optional[int] = None,
        request_id: Optional[str] = None,
        retry_after: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        """The stable word of the API, such as ``card_invalid``."""
        self.status = status
        """The HTTP status; None when there was no answer, and for a part of a batch."""
        self.request_id = request_id
        """What to tell the operator when asking about the call."""
        self.retry_after = retry_after
        """Seconds to wait before trying again; None when the API does not say."""


class CardPingError(ApiError):
    """Any refusal of the API of balance checks, and the base class of its errors."""


class AuthError(CardPingError):
    """401 ``auth_invalid``: the API key is missing or invalid."""


class PermissionDenied(CardPingError):
    """403 ``permission_denied``: the key lacks a scope, or the caller is suspended."""


class InvalidRequestError(CardPingError):
    """400 ``invalid_request`` and other mistakes in the call itself."""


class CardInvalidError(CardPingError):
    """422 ``card_invalid``: the number, or a missing PIN, cannot be this network's."""


class NotFoundError(CardPingError):
    """404 ``not_found``."""


class ConflictError(CardPingError):
    """409: ``idempotency_conflict``, ``already_exists`` or ``invalid_state``."""


class RateLimitError(CardPingError):
    """429 ``rate_limited``: too many requests; see ``retry_after``."""


class QuotaExceededError(CardPingError):
    """429 ``quota_exceeded``: the month's checks are used up."""


class NetworkUnavailableError(CardPingError):
    """503 ``network_unavailable``: the card's network does not answer."""


class ServerError(CardPingError):
    """Any other 5xx, or an answer that makes no sense."""


class ConnectionFailed(CardPingError):
    """No answer: ``connection_failed`` or ``timed_out``."""


class SignatureError(CardPingError):
    """A webhook that must not be believed: ``signature_invalid`` or ``timestamp_skewed``."""


_BY_CODE: Dict[str, Type[CardPingError]] = {
    "auth_invalid": AuthError,
    "permission_denied": PermissionDenied,
    "invalid_request": InvalidRequestError,
    "card_invalid": CardInvalidError,
    "not_found": NotFoundError,
    "idempotency_conflict": ConflictError,
    "already_exists": ConflictError,
    "invalid_state": ConflictError,
    "rate_limited": RateLimitError,
    "quota_exceeded": QuotaExceededError,
    "network_unavailable": NetworkUnavailableError,
}

_BY_STATUS: Dict[int, Type[CardPingError]] = {
    401: AuthError,
    403: PermissionDenied,
    404: NotFoundError,
    409: ConflictError,
    422: CardInvalidError,
    429: RateLimitError,
}


def refusal(
    problem: Any,
    *,
    status: Optional[int] = None,
    request_id: Optional[str] = None,
    retry_after: Optional[int] = None,
) -> CardPingError:
    """Makes the error of a refusal from the ``error`` member of an answer, if it had one."""
    known = problem if isinstance(problem, dict) and isinstance(problem.get("code"), str) else {}
    code = known.get("code", f"http_{status}")
    kind = _BY_CODE.get(code)
    if kind is None and status is not None:
        kind = _BY_STATUS.get(status, InvalidRequestError if 400 <= status < 500 else ServerError)
    return (kind or ServerError)(
        str(known.get("message") or f"the server answered with status {status}"),
        code=code,
        status=status,
        request_id=known.get("request_id") or request_id,
        retry_after=retry_after,
    )
