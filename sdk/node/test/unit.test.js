// The client alone, against a server that misbehaves as it is told.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { inspect } from 'node:util';
import * as sdk from '../src/index.js';

const { CardPing } = sdk;
const key = 'cp_test_sk_unit';
const sample = '{"id":"ping_9f4a3b2c","status":"active","balance":47.50,"currency":"USD","expiry":"2027-03","fraud_score":0.02,' +
  '"fraud_signals":[],"ai_verified":true,"network":"visa_gift","latency_ms":68}';
const check = { cardNumber: '6006-4913-0000-0011', pin: '1234', network: 'visa_gift' };

/** Answers with each of the replies in turn, then with the last; a reply is 'drop' or [status, body, headers]. */
async function faulty(t, ...replies) {
  const seen = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    seen.push({ method: request.method, url: request.url, headers: request.headers, body });
    const reply = replies[Math.min(seen.length, replies.length) - 1];
    if (reply === 'drop') return request.socket.destroy();
    if (reply === 'hang') return undefined;
    const [status, text = '', headers = {}] = reply;
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(text);
    return undefined;
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => { server.closeAllConnections(); server.close(); });
  const waits = [];
  const options = { apiKey: key, baseUrl: `http://127.0.0.1:${server.address().port}/v1/`, wait: async (ms) => { waits.push(ms); } };
  return { seen, waits, options, client: new CardPing(options) };
}

const refused = (code, status, headers) => [status, JSON.stringify({ error: { code, message: `no: ${code}`, request_id: 'req_1' } }), headers];

test('the published sample comes out in camelCase, member for member', async (t) => {
  const { client, seen } = await faulty(t, [200, sample, { Age: '7' }]);
  assert.deepEqual(await client.ping({ ...check, currency: 'USD', idempotencyKey: 'k1' }), {
    id: 'ping_9f4a3b2c', status: 'active', balance: 47.5, currency: 'USD', expiry: '2027-03', fraudScore: 0.02, fraudSignals: [],
    aiVerified: true, network: 'visa_gift', latencyMs: 68, age: 7,
  });
  assert.equal(seen[0].method, 'POST');
  assert.equal(seen[0].url, '/v1/cards/ping');
  assert.equal(seen[0].headers['x-api-key'], key);
  assert.equal(seen[0].headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(seen[0].body), { card_number: check.cardNumber, pin: '1234', network: 'visa_gift', currency: 'USD', idempotency_key: 'k1' });
});

test('a check is repeated under one key that the client makes, after as long as the server asks for', async (t) => {
  const { client, seen, waits } = await faulty(t, refused('rate_limited', 429, { 'Retry-After': '2' }), refused('network_unavailable', 503), 'drop', [200, sample]);
  assert.equal((await client.ping(check)).balance, 47.5);
  assert.equal(seen.length, 4);
  assert.equal(new Set(seen.map((request) => request.body)).size, 1, 'all attempts are one check');
  assert.match(JSON.parse(seen[0].body).idempotency_key, /^[0-9a-f-]{36}$/);
  assert.equal(waits[0], 2000);
  assert.ok(waits[1] >= 500 && waits[1] <= 1000, `second wait: ${waits[1]}`);
  assert.ok(waits[2] >= 1000 && waits[2] <= 2000, `third wait: ${waits[2]}`);
  await client.ping(check);
  assert.notEqual(JSON.parse(seen[4].body).idempotency_key, JSON.parse(seen[0].body).idempotency_key, 'two checks have two keys');
});

test('repetitions end, and what waiting does not cure is not repeated', async (t) => {
  const cases = [
    [refused('network_unavailable', 503), 4, sdk.NetworkUnavailableError],
    [refused('quota_exceeded', 429, { 'Retry-After': '2' }), 1, sdk.QuotaExceededError],
    [refused('rate_limited', 429, { 'Retry-After': '61' }), 1, sdk.RateLimitError],
    [refused('card_invalid', 422), 1, sdk.CardInvalidError],
    [refused('idempotency_conflict', 409), 1, sdk.ConflictError],
  ];
  for (const [reply, times, kind] of cases) {
    const { client, seen } = await faulty(t, reply);
    await assert.rejects(client.ping(check), kind);
    assert.equal(seen.length, times, kind.name);
  }
});

test('a change is repeated only when a limit refused it before it was made', async (t) => {
  const limited = await faulty(t, refused('rate_limited', 429, { 'Retry-After': '0' }), [201, '{"id":"wh_1","secret":"whsec_1"}']);
  assert.equal((await limited.client.webhooks.create({ url: 'https://a.example/', events: ['*'] })).secret, 'whsec_1');
  const unclear = await faulty(t, refused('overloaded', 503), [201, '{}']);
  await assert.rejects(unclear.client.webhooks.rotate('wh_1'), sdk.ServerError);
  assert.equal(unclear.seen.length, 1);
});

test('what was deleted by an attempt whose answer was lost is deleted', async (t) => {
  const { client } = await faulty(t, 'drop', refused('not_found', 404));
  await client.webhooks.delete('wh_1');
  for (const before of [[], [refused('rate_limited', 429, { 'Retry-After': '0' })]]) {
    const missing = await faulty(t, ...before, refused('not_found', 404));
    await assert.rejects(missing.client.webhooks.delete('wh_1'), sdk.NotFoundError);
  }
});

test('every refusal has its class, code, status, request and time to wait', async (t) => {
  const cases = [
    ['auth_invalid', 401, sdk.AuthError], ['permission_denied', 403, sdk.PermissionError], ['invalid_request', 400, sdk.InvalidRequestError],
    ['card_invalid', 422, sdk.CardInvalidError], ['not_found', 404, sdk.NotFoundError], ['idempotency_conflict', 409, sdk.ConflictError],
    ['already_exists', 409, sdk.ConflictError], ['invalid_state', 409, sdk.ConflictError], ['rate_limited', 429, sdk.RateLimitError],
    ['quota_exceeded', 429, sdk.QuotaExceededError], ['network_unavailable', 503, sdk.NetworkUnavailableError],
    ['internal_error', 500, sdk.ServerError], ['timeout', 504, sdk.ServerError], ['body_too_large', 413, sdk.InvalidRequestError],
    ['something_new', 418, sdk.InvalidRequestError],
  ];
  for (const [code, status, kind] of cases) {
    const { options } = await faulty(t, refused(code, status, { 'Retry-After': '9' }));
    const error = await new CardPing({ ...options, maxRetries: 0 }).networks().catch((caught) => caught);
    assert.equal(error.constructor, kind, code);
    assert.ok(error instanceof sdk.CardPingError);
    assert.deepEqual([error.code, error.status, error.requestId, error.retryAfter, error.name], [code, status, 'req_1', 9, kind.name]);
  }
});

test('an answer that is not of the API is an error, too', async (t) => {
  const cases = [
    [[502, '<html>', { 'X-Request-Id': 'req_2' }], 'http_502', 502],
    [[200, 'null'], 'invalid_answer', 200],
    [[200, 'x'.repeat((4 << 20) + 1)], 'invalid_answer', 200],
    [[302, '', { Location: 'https://elsewhere.example/' }], 'http_302', 302],
    ['drop', 'connection_failed', null],
  ];
  for (const [reply, code, status] of cases) {
    const { options } = await faulty(t, reply);
    const error = await new CardPing({ ...options, maxRetries: 0 }).networks().catch((caught) => caught);
    assert.deepEqual([error.code, error.status], [code, status]);
  }
});

test('a call ends when its time is over or its caller gives up', async (t) => {
  const { options } = await faulty(t, 'hang');
  await assert.rejects(new CardPing({ ...options, maxRetries: 0, timeout: 20 }).networks(), { code: 'timed_out' });
  const giveUp = new AbortController();
  const call = new CardPing(options).networks({ signal: giveUp.signal });
  giveUp.abort();
  await assert.rejects(call, { code: 'aborted' });
  const waiting = await faulty(t, refused('network_unavailable', 503, { 'Retry-After': '60' }));
  const patient = new CardPing({ ...waiting.options, wait: undefined });
  const stop = new AbortController();
  const pending = patient.ping(check, { signal: stop.signal });
  while (waiting.seen.length === 0) await new Promise(setImmediate);
  stop.abort();
  await assert.rejects(pending, sdk.CardPingError);
});

test('each part of a batch has its key, and its result or its error', async (t) => {
  const { client, seen } = await faulty(t, [200, `{"results":[{"result":${sample},"age":41},{"error":{"code":"card_invalid","message":"no","request_id":"req_3"}},{"error":{"code":"rate_limited","message":"no","request_id":"req_3"},"retry_after":60}]}`]);
  const [first, second, third] = await client.pingBatch([{ ...check, idempotencyKey: 'a' }, check, check]);
  assert.equal(first.result.fraudScore, 0.02);
  assert.equal(first.result.age, 41);
  assert.ok(second.error instanceof sdk.CardInvalidError);
  assert.equal(second.error.requestId, 'req_3');
  assert.equal(second.error.retryAfter, null);
  assert.equal(third.error.retryAfter, 60);
  const { checks } = JSON.parse(seen[0].body);
  assert.equal(checks[0].idempotency_key, 'a');
  assert.ok(checks[1].idempotency_key.length > 20);
});

test('webhooks are judged as the shared vectors say', () => {
  const { vectors } = JSON.parse(readFileSync(new URL('../../testdata/webhooks.json', import.meta.url), 'utf8'));
  const client = new CardPing({ apiKey: key });
  for (const { name, secret, header, body, now, fault } of vectors) {
    for (const raw of [body, Buffer.from(body)]) {
      const verify = () => client.webhooks.verify(raw, header, secret, { now });
      if (fault === null) assert.deepEqual(verify(), JSON.parse(body), name);
      else assert.throws(verify, { name: 'SignatureError', code: fault }, name);
    }
  }
  assert.ok(vectors.length > 30);
  const [{ secret, header, body, now }] = vectors;
  assert.equal(sdk.verifyWebhook(body, header, secret, { now: now + 900, tolerance: 900 }).type, 'ping.completed');
  assert.throws(() => sdk.verifyWebhook(body, undefined, secret), sdk.SignatureError);
  assert.throws(() => sdk.verifyWebhook(JSON.parse(body), header, secret, { now }), TypeError);
  assert.throws(() => sdk.verifyWebhook(body, header, secret, { now, tolerance: NaN }), TypeError);
});

test('a client is made of sensible settings alone, and never shows its key', async () => {
  for (const options of [
    {}, { apiKey: '' }, { apiKey: 'a\r\nb' }, { apiKey: key, baseUrl: 'http://scrip.example' }, { apiKey: key, baseUrl: 'ftp://127.0.0.1' },
    { apiKey: key, baseUrl: 'https://user:secret@scrip.example' }, { apiKey: key, maxRetries: -1 }, { apiKey: key, timeout: NaN },
  ]) assert.throws(() => new CardPing(options), TypeError, JSON.stringify(options));
  const client = new CardPing({ apiKey: key, baseUrl: 'http://scrip.example', allowHttp: true });
  assert.ok(!(inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client)).includes(key));
  await assert.rejects(client.portals.get('../networks'), TypeError);
});

test('the declared types name what is exported', () => {
  const declared = [...readFileSync(new URL('../src/index.d.ts', import.meta.url), 'utf8').matchAll(/^export (?:class|function) (\w+)/gm)].map((match) => match[1]);
  assert.deepEqual(declared.sort(), Object.keys(sdk).sort());
});
