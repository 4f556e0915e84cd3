import { createHmac, timingSafeEqual } from 'node:crypto';
import { SignatureError } from './errors.js';

const MAX_HEADER = 1024; // characters
const MAX_SIGNATURES = 8;

/**
 * Checks who sent a webhook and returns its event.
 *
 * @param {string | Uint8Array} rawBody the body as it came, before anything parsed it
 * @param {string | undefined} signature the header CP-Signature
 * @param {string} secret the webhook's secret, whsec_…
 * @param {{tolerance?: number, now?: number}} [options] seconds that the signature may be old or ahead, 300 unless given;
 *   the time in seconds since 1970, the machine's unless given
 * @throws {SignatureError} when the signature is malformed, not made with the secret, or too old
 */
export function verifyWebhook(rawBody, signature, secret, { tolerance = 300, now = Date.now() / 1000 } = {}) {
  if (typeof rawBody !== 'string' && !(rawBody instanceof Uint8Array)) {
    throw new TypeError('rawBody must be the text or the bytes of the request, before they are parsed');
  }
  if (typeof secret !== 'string' || secret === '') throw refused('signature_invalid', 'there is no secret to verify with');
  if (!Number.isFinite(tolerance) || tolerance < 0 || !Number.isFinite(now)) throw new TypeError('tolerance and now must be numbers of seconds');
  const { time, signatures } = parse(signature);
  const want = createHmac('sha256', secret).update(`${time}.`).update(rawBody).digest();
  let matched = false;
  for (const got of signatures) matched = timingSafeEqual(got, want) || matched;
  if (!matched) throw refused('signature_invalid', 'the signature does not match');
  if (Math.abs(now - Number(time)) > tolerance) throw refused('timestamp_skewed', `the signature is more than ${tolerance} seconds old or ahead`);
  return event(rawBody);
}

/** Reads t=<seconds>,v1=<hex>… in any order; names that it does not know are left to later versions. */
function parse(header) {
  const malformed = refused('signature_invalid', 'the signature header is missing or malformed');
  if (typeof header !== 'string' || header.length > MAX_HEADER) throw malformed;
  const times = [];
  const signatures = [];
  for (const part of header.split(',')) {
    const [, name, value] = /^\s*([^=]*)=(.*?)\s*$/s.exec(part) ?? [];
    if (name === undefined) throw malformed;
    if (name === 't') times.push(value);
    if (name === 'v1') signatures.push(value);
  }
  const wellFormed = times.length === 1 && /^(0|[1-9][0-9]{0,15})$/.test(times[0]) && signatures.length >= 1 &&
    signatures.length <= MAX_SIGNATURES && signatures.every((value) => /^[0-9a-fA-F]{64}$/.test(value));
  if (!wellFormed) throw malformed;
  return { time: times[0], signatures: signatures.map((value) => Buffer.from(value, 'hex')) };
}

function event(rawBody) {
  const text = typeof rawBody === 'string' ? rawBody : new TextDecoder().decode(rawBody);
  let parsed;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null;
  }
  if (parsed === null || typeof parsed !== 'object' || typeof parsed.type !== 'string') {
    throw refused('signature_invalid', 'the signature is right and the body is no event');
  }
  return parsed;
}

function refused(code, message) { return new SignatureError(message, { code }); }
