// Errors that the client throws. Decide by class or by `code`; `message` is for people.

/** What the errors of all APIs have in common. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{code?: string, status?: number | null, requestId?: string | null, retryAfter?: number | null, cause?: unknown}} details
   */
  constructor(message, { code = 'unknown', status = null, requestId = null, retryAfter = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    /** The stable word of the API, such as `card_invalid`. */
    this.code = code;
    /** The HTTP status; null when there was no answer. */
    this.status = status;
    /** What to tell the operator when asking about the call. */
    this.requestId = requestId;
    /** Seconds to wait before trying again; null when the API does not say. */
    this.retryAfter = retryAfter;
  }
}

/** Any refusal of the API of balance checks, and the base class of its errors. */
export class CardPingError extends ApiError {}
/** 401 `auth_invalid`: the API key is missing or invalid. */
export class AuthError extends CardPingError {}
/** 403 `permission_denied`: the key lacks a scope, or the caller is suspended. */
export class PermissionError extends CardPingError {}
/** 400 `invalid_request` and other mistakes in the call itself. */
export class InvalidRequestError extends CardPingError {}
/** 422 `card_invalid`: the number, or a missing PIN, cannot be this network's. */
export class CardInvalidError extends CardPingError {}
/** 404 `not_found`. */
export class NotFoundError extends CardPingError {}
/** 409: `idempotency_conflict`, `already_exists` or `invalid_state`. */
export class ConflictError extends CardPingError {}
/** 429 `rate_limited`: too many requests; see `retryAfter`. */
export class RateLimitError extends CardPingError {}
/** 429 `quota_exceeded`: the month's checks are used up. */
export class QuotaExceededError extends CardPingError {}
/** 503 `network_unavailable`: the card's network does not answer. */
export class NetworkUnavailableError extends CardPingError {}
/** Any other 5xx, or an answer that makes no sense. */
export class ServerError extends CardPingError {}
/** No answer: `connection_failed`, `timed_out` or `aborted`. */
export class ConnectionError extends CardPingError {}
/** A webhook that must not be believed: `signature_invalid` or `timestamp_skewed`. */
export class SignatureError extends CardPingError {}
/** Any refusal of the API of virtual cards, any answer that makes no sense, and no answer at all. Decide by `code`. */
export class CryptoCardyError extends ApiError {}

const byCode = {
  auth_invalid: AuthError,
  permission_denied: PermissionError,
  invalid_request: InvalidRequestError,
  card_invalid: CardInvalidError,
  not_found: NotFoundError,
  idempotency_conflict: ConflictError,
  already_exists: ConflictError,
  invalid_state: ConflictError,
  rate_limited: RateLimitError,
  quota_exceeded: QuotaExceededError,
  network_unavailable: NetworkUnavailableError,
};

const byStatus = { 401: AuthError, 403: PermissionError, 404: NotFoundError, 409: ConflictError, 422: CardInvalidError, 429: RateLimitError };

/**
 * Makes the error of a refusal. The part of a batch that is refused has no status of its own.
 * @param {any} problem the `error` member of the answer, if it had one
 * @param {{status?: number | null, requestId?: string | null, retryAfter?: number | null}} at
 */
export function refusal(problem, { status = null, requestId = null, retryAfter = null } = {}) {
  const known = typeof problem?.code === 'string' ? problem : {};
  const code = known.code ?? `http_${status}`;
  const message = typeof known.message === 'string' && known.message !== '' ? known.message : `the server answered with status ${status}`;
  const Kind = (Object.hasOwn(byCode, code) ? byCode[code] : byStatus[status]) ?? (status >= 400 && status < 500 ? InvalidRequestError : ServerError);
  return new Kind(message, { code, status, requestId: known.request_id ?? requestId, retryAfter });
}
