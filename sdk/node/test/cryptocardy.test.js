// The client of virtual cards alone, against a server that misbehaves as it is told.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { CryptoCardy, CryptoCardyError, verifyCryptoCardyWebhook } from '../src/index.js';

const seed = '0f1e-2d3c-4b5a-6978';
const card = '{"id":"card_8xK2m9Lp4q","bin_id":"491653","network":"visa","last4":"2039","status":"active","balance":487.50,"label":"Ad Spend","metadata":{"some_name":"x"},"created_at":"2026-04-15T12:00:00Z"}';
const challenges = '{"data":[{"id":"3ds_m4n5o6p7","card_id":"card_8xK2m9Lp4q","merchant":"SPOTIFY","amount":9.99,"otp":"847291","status":"pending"}]}';

/** Answers with each of the replies in turn, then with the last; a reply is 'drop' or [status, body, headers]. */
async function faulty(t, ...replies) {
  const seen = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    seen.push({ method: request.method, url: request.url, headers: request.headers, body });
    const reply = replies[Math.min(seen.length, replies.length) - 1];
    if (reply === 'drop') return request.socket.destroy();
    const [status, text = '', headers = {}] = reply;
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(text);
    return undefined;
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => { server.closeAllConnections(); server.close(); });
  const waits = [];
  const options = { baseUrl: `http://127.0.0.1:${server.address().port}/v1/api/`, wait: async (ms) => { waits.push(ms); } };
  return { seen, waits, options, client: new CryptoCardy(seed, options) };
}

const refused = (word, status, headers) => [status, JSON.stringify({ error: word, message: `no: ${word}`, code: status, request_id: 'req_1' }), headers];

test('the published quick start sends what it should and reads what is published', async (t) => {
  const { client, seen } = await faulty(t, [201, card], [200, challenges], [201, '{"id":"wh_1","secret":"whsec_1"}']);
  const made = await client.cards.create({ binId: '491653', amount: 500, label: 'Ad Spend', metadata: { someName: 'x' } });
  assert.deepEqual([made.id, made.last4, made.balance, made.binId, made.metadata], ['card_8xK2m9Lp4q', '2039', 487.5, '491653', { some_name: 'x' }]);
  const found = await client.threeds.list({ cardId: made.id, status: 'pending' });
  assert.deepEqual(found.data.map((c) => [c.otp, c.cardId]), [['847291', 'card_8xK2m9Lp4q']]);
  const hook = await client.webhooks.create({ url: 'https://yourapp.com/hooks', events: ['transaction.authorized', '3ds.challenge'] });
  assert.equal(hook.secret, 'whsec_1');
  assert.deepEqual(seen.map((r) => `${r.method} ${r.url}`), ['POST /v1/api/cards', 'GET /v1/api/3ds?card_id=card_8xK2m9Lp4q&status=pending', 'POST /v1/api/webhooks']);
  assert.deepEqual(JSON.parse(seen[0].body), { bin_id: '491653', amount: 500, label: 'Ad Spend', metadata: { someName: 'x' } });
  assert.equal(seen[0].headers['x-seed'], seed);
  assert.match(seen[0].headers['x-idempotency-key'], /^[0-9a-f-]{36}$/);
  assert.equal(seen[1].headers['x-idempotency-key'], undefined);
});

test('a change is sent again under one key', async (t) => {
  const { client, seen, waits } = await faulty(t, refused('rate_limited', 429, { 'Retry-After': '2' }), refused('unavailable', 503), 'drop', [200, '{"id":"card_1","new_balance":12.50}']);
  assert.equal((await client.cards.fund('card_1', { amount: 12.5 }, { idempotencyKey: 'mine' })).newBalance, 12.5);
  assert.deepEqual([seen.length, new Set(seen.map((r) => r.headers['x-idempotency-key'])).size, seen[3].body, waits[0]], [4, 1, '{"amount":12.5}', 2000]);
});

test('what is not there was not ended by an attempt before, whose answer the key would give', async (t) => {
  for (const first of ['drop', refused('unavailable', 503), refused('rate_limited', 429)]) {
    const { client } = await faulty(t, first, refused('not_found', 404));
    await assert.rejects(client.cards.terminate('card_1'), { name: 'CryptoCardyError', code: 'not_found' });
  }
});

test('a refusal has its word, status, request and time to wait', async (t) => {
  for (const [word, status] of [['insufficient_funds', 400], ['invalid_seed', 401], ['not_found', 404], ['idempotency_conflict', 400]]) {
    const { client, seen } = await faulty(t, refused(word, status, { 'Retry-After': '9' }));
    const error = await client.cards.withdraw('card_1', { amount: 1 }).catch((caught) => caught);
    assert.ok(error instanceof CryptoCardyError);
    assert.deepEqual([error.code, error.status, error.requestId, error.retryAfter, error.message, seen.length], [word, status, 'req_1', 9, `no: ${word}`, 1]);
  }
  for (const [reply, code] of [[[502, '<html>'], 'http_502'], [[200, 'null'], 'invalid_answer'], ['drop', 'connection_failed']]) {
    const { options } = await faulty(t, reply);
    await assert.rejects(new CryptoCardy(seed, { ...options, maxRetries: 0 }).bins.list(), { name: 'CryptoCardyError', code });
  }
});

test('a client is made of a seed alone, which it never shows, and ids lead nowhere else', async () => {
  for (const [wrong, options] of [['', {}], [undefined, {}], [seed, { baseUrl: 'http://scrip.example' }]]) assert.throws(() => new CryptoCardy(wrong, options), TypeError);
  const client = new CryptoCardy(seed, { baseUrl: 'https://scrip.example/v1/api' });
  assert.ok(!(inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client)).includes(seed));
  await assert.rejects(client.cards.get('../wallet/balance'), TypeError);
});

test('webhooks are verified as it is published', () => {
  const body = '{"id":"evt_1","type":"card.funded"}';
  const good = createHmac('sha256', 'whsec_example').update(body).digest('hex');
  for (const [signature, ok] of [[good, true], [good.slice(1), false], ['', false], [undefined, false], [[good], false]]) {
    assert.equal(verifyCryptoCardyWebhook(body, signature, 'whsec_example'), ok);
  }
  const { webhooks } = new CryptoCardy(seed);
  assert.equal(webhooks.verify(Buffer.from(body), good, 'whsec_example').type, 'card.funded');
  assert.throws(() => webhooks.verify(body, good, 'whsec_other'), { name: 'CryptoCardyError', code: 'signature_invalid' });
  assert.throws(() => verifyCryptoCardyWebhook(JSON.parse(body), good, 'whsec_example'), TypeError);
});
