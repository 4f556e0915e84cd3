import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { CryptoCardyError } from './errors.js';
import { Http } from './http.js';
import { fromWire, toWire } from './wire.js';

const api = {
  header: 'X-Seed', credential: 'a seed, such as c4f4-6e88-036c-761c', variable: 'CRYPTOCARDY_BASE_URL', root: '/v1/api',
  refuse: (body, about) => new CryptoCardyError(body?.message ?? `the server answered with status ${about.status}`, {
    ...about, code: typeof body?.error === 'string' ? body.error : `http_${about.status}`, requestId: body?.request_id ?? about.requestId,
  }),
  connection: (message, details) => new CryptoCardyError(message, details),
  nonsense: (message, details) => new CryptoCardyError(message, details),
};

/**
 * Client of virtual cards on a wallet that crypto funds.
 *
 * Every call is sent again after lost connections and answers that pass. Those that change something carry an
 * X-Idempotency-Key, yours or one that is made, so that they are done once.
 */
export class CryptoCardy {
  constructor(seed, options = {}) {
    const calls = new Calls(new Http(api, seed, options));
    this.cards = new Cards(calls);
    this.transactions = new Transactions(calls);
    this.wallet = new Wallet(calls);
    this.bins = new Bins(calls);
    this.threeds = new ThreeDS(calls);
    this.webhooks = new Webhooks(calls);
  }
}

class Calls {
  #http;

  constructor(http) { this.#http = http; }

  async read(path, filter = {}, { signal } = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(toWire(filter))) {
      if (value !== null && value !== '') query.set(name, String(value));
    }
    const text = query.toString();
    return renamed((await this.#http.send('GET', text ? `${path}?${text}` : path, { repeatable: true, signal })).body);
  }

  async change(method, path, body, { idempotencyKey, signal } = {}) {
    const headers = { 'X-Idempotency-Key': idempotencyKey || randomUUID() };
    return renamed((await this.#http.send(method, path, { body, headers, repeatable: true, keyed: true, signal })).body);
  }
}

/** Renames all members but those of metadata, whose names are the caller's. */
function renamed(body) {
  const out = fromWire(body);
  if (body?.metadata) out.metadata = body.metadata;
  return out;
}

/** The settings of a card as they are sent, with metadata as it is. */
function settings(card) {
  const out = toWire(card);
  if (card.metadata) out.metadata = card.metadata;
  return out;
}

/** An id as a part of a path; one that would lead elsewhere is a mistake of the caller. */
function at(root, id, action) {
  if (typeof id !== 'string' || !/^[A-Za-z0-9_-]+$/.test(id)) throw new TypeError('id must be an id that the API gave');
  return action ? `${root}/${id}/${action}` : `${root}/${id}`;
}

class Resource {
  #calls;

  constructor(calls) { this.#calls = calls; }

  _read(...args) { return this.#calls.read(...args); }

  _change(...args) { return this.#calls.change(...args); }
}

class Cards extends Resource {
  /** Makes a card with an amount of the wallet on it. */
  async create(card, options) { return this._change('POST', '/cards', settings(card), options); }

  /** Lists cards, the newest first unless said otherwise. */
  async list(filter, options) { return this._read('/cards', filter, options); }

  async get(id, options) { return this._read(at('/cards', id), {}, options); }

  /** Reads number, code and expiry. Each call is on record. */
  async details(id, options) { return this._read(at('/cards', id, 'details'), {}, options); }

  /** Changes the members that are given; metadata is merged. */
  async update(id, change, options) { return this._change('PATCH', at('/cards', id), settings(change), options); }

  async freeze(id, options) { return this._change('POST', at('/cards', id, 'freeze'), undefined, options); }

  async unfreeze(id, options) { return this._change('POST', at('/cards', id, 'unfreeze'), undefined, options); }

  /** Ends a card for good; its balance goes back to the wallet. */
  async terminate(id, options) { return this._change('DELETE', at('/cards', id), undefined, options); }

  /** Moves an amount of the wallet to a card. */
  async fund(id, { amount }, options) { return this._change('POST', at('/cards', id, 'fund'), { amount }, options); }

  /** Moves an amount of a card back to the wallet. */
  async withdraw(id, { amount }, options) { return this._change('POST', at('/cards', id, 'withdraw'), { amount }, options); }
}

class Transactions extends Resource {
  /** Lists lines, the newest first. */
  async list(filter, options) { return this._read('/transactions', filter, options); }

  /** Reads a line with all that is known of its payment. */
  async get(id, options) { return this._read(at('/transactions', id), {}, options); }
}

class Wallet extends Resource {
  async balance(options) { return this._read('/wallet/balance', {}, options); }

  /** Reads where to send crypto, of one currency or all. */
  async depositAddress(filter, options) { return this._read('/wallet/deposit-address', filter, options); }

  async deposits(filter, options) { return this._read('/wallet/deposits', filter, options); }
}

class Bins extends Resource {
  async list(options) { return this._read('/bins', {}, options); }
}

class ThreeDS extends Resource {
  /** Lists challenges with their one-time codes, the newest first. */
  async list(filter, options) { return this._read('/3ds', filter, options); }

  async get(id, options) { return this._read(at('/3ds', id), {}, options); }
}

class Webhooks extends Resource {
  /** Has events sent to an address; ['*'] is all of them. The answer alone shows the secret. */
  async create(webhook, options) { return this._change('POST', '/webhooks', toWire(webhook), options); }

  async list(options) { return this._read('/webhooks', {}, options); }

  async delete(id, options) { await this._change('DELETE', at('/webhooks', id), undefined, options); }

  /** Checks who sent a webhook and returns its event. */
  verify(payload, signature, secret) {
    if (!verifyCryptoCardyWebhook(payload, signature, secret)) throw new CryptoCardyError('the signature does not match', { code: 'signature_invalid' });
    let parsed;
    try {
      parsed = JSON.parse(typeof payload === 'string' ? payload : new TextDecoder().decode(payload));
    } catch {
      parsed = null;
    }
    if (typeof parsed?.type !== 'string') throw new CryptoCardyError('the signature is right and the body is no event', { code: 'signature_invalid' });
    return parsed;
  }
}

/**
 * Reports whether a webhook's signature was made with its secret over these very bytes.
 *
 * @param {string | Uint8Array} payload the body as it came, before anything parsed it
 * @param {string | string[] | undefined} signature the header X-CryptoCardy-Signature
 * @param {string} secret the webhook's secret
 */
export function verifyCryptoCardyWebhook(payload, signature, secret) {
  if (typeof payload !== 'string' && !(payload instanceof Uint8Array)) {
    throw new TypeError('payload must be the text or the bytes of the request, before they are parsed');
  }
  if (typeof secret !== 'string' || secret === '' || typeof signature !== 'string' || !/^[0-9a-f]{64}$/.test(signature)) return false;
  return timingSafeEqual(Buffer.from(signature, 'hex'), createHmac('sha256', secret).update(payload).digest());
}
