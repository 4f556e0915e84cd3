import { randomUUID } from 'node:crypto';
import { ConnectionError, refusal, ServerError } from './errors.js';
import { Http } from './http.js';
import { verifyWebhook } from './webhook.js';
import { fromWire, toWire } from './wire.js';

const api = {
  header: 'X-API-Key', credential: 'an apiKey, such as cp_test_sk_…', variable: 'CARDPING_BASE_URL', root: '/v1',
  refuse: (body, about) => refusal(body?.error, about),
  connection: (message, details) => new ConnectionError(message, details),
  nonsense: (message, details) => new ServerError(message, details),
};

/** Client of the balance checks, their networks, webhooks and portals. */
export class CardPing {
  #http;

  constructor(options = {}) {
    this.#http = new Http(api, options.apiKey, options);
    this.webhooks = new Webhooks(this.#http);
    this.portals = new Portals(this.#http);
  }

  /** Checks one card. Without an idempotency key it makes one, so that a repetition is the same check. */
  async ping(check, { signal } = {}) {
    const answer = await this.#http.send('POST', '/cards/ping', { body: keyed(check), repeatable: true, signal });
    const age = answer.headers.get('age');
    return { ...fromWire(answer.body), age: age === null ? null : Number(age) };
  }

  /** Checks up to 100 cards. Item i is what check i came to: {result} or {error}. */
  async pingBatch(checks, { signal } = {}) {
    if (!Array.isArray(checks)) throw new TypeError('checks must be an array');
    const answer = await this.#http.send('POST', '/cards/ping/batch', { body: { checks: checks.map(keyed) }, repeatable: true, signal });
    return answer.body.results.map(item);
  }

  /** Lists the networks that a check can name. */
  async networks({ signal } = {}) {
    return fromWire((await this.#http.send('GET', '/networks', { repeatable: true, signal })).body.data);
  }
}

function keyed(check) { return toWire({ ...check, idempotencyKey: check.idempotencyKey || randomUUID() }); }

function item({ result, age, error, retry_after: retryAfter }) {
  return error ? { error: refusal(error, { retryAfter: retryAfter ?? null }) } : { result: { ...fromWire(result), age: age ?? null } };
}

/** An id as a part of a path; one that would lead elsewhere is a mistake of the caller. */
function segment(id) {
  if (typeof id !== 'string' || !/^[A-Za-z0-9_-]+$/.test(id)) throw new TypeError('id must be an id that the API gave');
  return id;
}

class Webhooks {
  #http;

  constructor(http) { this.#http = http; }

  /** Has events sent to an address; the answer alone shows the secret. */
  async create(webhook, { signal } = {}) { return fromWire((await this.#http.send('POST', '/webhooks', { body: toWire(webhook), signal })).body); }

  async list({ signal } = {}) { return fromWire((await this.#http.send('GET', '/webhooks', { repeatable: true, signal })).body.data); }

  /** Changes the members that are given. */
  async update(id, change, { signal } = {}) {
    return fromWire((await this.#http.send('PATCH', `/webhooks/${segment(id)}`, { body: toWire(change), repeatable: true, signal })).body);
  }

  async delete(id, { signal } = {}) { await this.#http.send('DELETE', `/webhooks/${segment(id)}`, { repeatable: true, signal }); }

  /** Makes a new secret; for 24 hours both sign. */
  async rotate(id, { signal } = {}) { return fromWire((await this.#http.send('POST', `/webhooks/${segment(id)}/rotate`, { signal })).body); }

  /** Checks who sent a webhook and returns its event; see verifyWebhook. */
  verify(rawBody, signature, secret, options) { return verifyWebhook(rawBody, signature, secret, options); }
}

class Portals {
  #http;

  constructor(http) { this.#http = http; }

  async create(portal, { signal } = {}) { return fromWire((await this.#http.send('POST', '/portals', { body: toWire(portal), signal })).body); }

  /** Lists a page: {data, nextCursor}, where nextCursor is null on the last one. */
  async list({ cursor, limit, signal } = {}) {
    const query = new URLSearchParams();
    if (cursor) query.set('cursor', cursor);
    if (limit !== undefined) query.set('limit', String(limit));
    const answer = await this.#http.send('GET', `/portals?${query}`, { repeatable: true, signal });
    const { data, nextCursor = null } = fromWire(answer.body);
    return { data, nextCursor };
  }

  async get(id, { signal } = {}) { return fromWire((await this.#http.send('GET', `/portals/${segment(id)}`, { repeatable: true, signal })).body); }

  /** Changes the members that are given; branding and lists are replaced as a whole. */
  async update(id, change, { signal } = {}) {
    return fromWire((await this.#http.send('PATCH', `/portals/${segment(id)}`, { body: toWire(change), repeatable: true, signal })).body);
  }

  /** Has the record of the portal's domain looked for now. */
  async verify(id, { signal } = {}) { return fromWire((await this.#http.send('POST', `/portals/${segment(id)}/verify`, { repeatable: true, signal })).body); }

  async delete(id, { signal } = {}) { await this.#http.send('DELETE', `/portals/${segment(id)}`, { repeatable: true, signal }); }
}
