export { CardPing } from './cardping.js';
export {
  AuthError, CardInvalidError, CardPingError, ConflictError, ConnectionError, InvalidRequestError, NetworkUnavailableError,
  NotFoundError, PermissionError, QuotaExceededError, RateLimitError, ServerError, SignatureError,
} from './errors.js';
export { verifyWebhook } from './webhook.js';
