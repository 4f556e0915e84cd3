export { CardPing } from './cardping.js';
export { CryptoCardy, verifyCryptoCardyWebhook } from './cryptocardy.js';
export {
  ApiError, AuthError, CardInvalidError, CardPingError, ConflictError, ConnectionError, CryptoCardyError, InvalidRequestError,
  NetworkUnavailableError, NotFoundError, PermissionError, QuotaExceededError, RateLimitError, ServerError, SignatureError,
} from './errors.js';
export { verifyWebhook } from './webhook.js';
