// The client against a running server with demonstration data. SCRIP_SDK_URL says where
// it is; it must allow webhooks to this machine. TestSDK in internal/e2e starts one.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import * as sdk from '../src/index.js';

const url = process.env.SCRIP_SDK_URL;
if (!url) throw new Error('SCRIP_SDK_URL names no server: go test ./internal/e2e -run TestSDK starts one');
const client = new sdk.CardPing({ apiKey: 'cp_test_sk_demo', baseUrl: url });
const unique = (name) => `${name}-${process.pid}-${process.hrtime.bigint()}`;

test('the published example prints what is published', async () => {
  const result = await client.ping({ cardNumber: '6006-4913-0000-0011', pin: '1234', network: 'visa_gift' });
  const { id, age, ...rest } = result;
  assert.match(id, /^ping_[0-9a-z]+$/);
  assert.equal(age, 0);
  assert.deepEqual(rest, {
    status: 'active', balance: 47.5, currency: 'USD', expiry: '2027-03', fraudScore: 0.02, fraudSignals: [], aiVerified: true,
    network: 'visa_gift', latencyMs: 68,
  });
});

test('a repeated check is one check, another under its key a conflict', async () => {
  const check = { cardNumber: '6006491300000011', network: 'visa_gift', idempotencyKey: unique('check') };
  const first = await client.ping(check);
  assert.equal((await client.ping(check)).id, first.id);
  assert.notEqual((await client.ping({ ...check, idempotencyKey: undefined })).id, first.id);
  await assert.rejects(client.ping({ ...check, pin: '1' }), { name: 'ConflictError', code: 'idempotency_conflict', status: 409 });
});

test('refusals are errors of their kind', async () => {
  const refused = async (call, kind, code) => {
    const error = await call.catch((caught) => caught);
    assert.ok(error instanceof kind, `${code}: ${error}`);
    assert.equal(error.code, code);
    assert.match(error.requestId, /^req_/);
  };
  const impatient = new sdk.CardPing({ apiKey: 'cp_test_sk_demo', baseUrl: url, maxRetries: 0 });
  await refused(client.ping({ cardNumber: '1234', network: 'visa_gift' }), sdk.CardInvalidError, 'card_invalid');
  await refused(client.ping({ cardNumber: '6006491300000011', network: 'nowhere' }), sdk.InvalidRequestError, 'invalid_request');
  await refused(impatient.ping({ cardNumber: '6006491300000055', network: 'visa_gift' }), sdk.NetworkUnavailableError, 'network_unavailable');
  await refused(new sdk.CardPing({ apiKey: 'cp_test_sk_wrong', baseUrl: url }).networks(), sdk.AuthError, 'auth_invalid');
  await refused(client.portals.get('portal_01kf3v8q5tfzk9w2m7x4c6n0ab'), sdk.NotFoundError, 'not_found');
});

test('a batch answers in order, each part by itself', async () => {
  const [good, bad, risky] = await client.pingBatch([
    { cardNumber: '6006491300000011', network: 'visa_gift' }, { cardNumber: '1', network: 'visa_gift' }, { cardNumber: '6006491300000044', network: 'visa_gift' },
  ]);
  assert.equal(good.result.balance, 47.5);
  assert.ok(bad.error instanceof sdk.CardInvalidError);
  assert.equal(risky.result.fraudScore, 0.89);
  assert.deepEqual(risky.result.fraudSignals, ['velocity_anomaly', 'proxy_ip_detected', 'sequential_pan_pattern']);
});

test('networks are listed', async () => {
  const visa = (await client.networks()).find((network) => network.id === 'visa_gift');
  assert.deepEqual(visa, { id: 'visa_gift', name: 'Visa Gift Card', type: 'open_loop', pinRequired: false, currencies: ['USD'], numberLengths: [16], status: 'operational' });
});

test('a webhook is made, delivers what verifies, rotates and goes', async (t) => {
  let deliver;
  const delivery = new Promise((resolve) => { deliver = resolve; });
  const receiver = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    response.writeHead(204).end();
    deliver({ raw: Buffer.concat(parts), signature: request.headers['cp-signature'] });
  });
  await new Promise((resolve) => { receiver.listen(0, '127.0.0.1', resolve); });
  t.after(() => { receiver.closeAllConnections(); receiver.close(); });

  const made = await client.webhooks.create({ url: `http://127.0.0.1:${receiver.address().port}/hook`, events: ['fraud.high_risk'] });
  assert.match(made.secret, /^whsec_/);
  const rotated = await client.webhooks.rotate(made.id);
  await client.ping({ cardNumber: '6006491300000044', network: 'visa_gift' });
  const { raw, signature } = await delivery;
  for (const secret of [made.secret, rotated.secret]) {
    const event = client.webhooks.verify(raw, signature, secret);
    assert.equal(event.type, 'fraud.high_risk');
    assert.match(event.data.card_id, /^card_/);
  }
  assert.throws(() => client.webhooks.verify(raw, signature, 'whsec_other'), sdk.SignatureError);

  assert.equal((await client.webhooks.update(made.id, { active: false })).active, false);
  assert.ok((await client.webhooks.list()).some((webhook) => webhook.id === made.id && webhook.secret === undefined));
  await client.webhooks.delete(made.id);
  await assert.rejects(client.webhooks.rotate(made.id), sdk.NotFoundError);
});

test('a portal is made, listed, changed and goes', async () => {
  const slug = unique('node').slice(0, 40);
  const made = await client.portals.create({ name: 'Node', slug, branding: { primaryColor: '#1f4e79', logoUrl: 'https://acme.example/logo.svg' } });
  assert.deepEqual([made.slug, made.active, made.customDomain], [slug, true, null]);
  assert.deepEqual(made.branding, { logoUrl: 'https://acme.example/logo.svg', primaryColor: '#1f4e79' });
  const other = await client.portals.create({ name: 'Other', slug: `${slug}-b` });
  const page = await client.portals.list({ limit: 1 });
  assert.equal(page.data[0].id, other.id);
  assert.equal((await client.portals.list({ limit: 1, cursor: page.nextCursor })).data[0].id, made.id);
  assert.equal((await client.portals.update(made.id, { active: false })).active, false);
  assert.equal((await client.portals.get(made.id)).active, false);
  const claimed = await client.portals.update(other.id, { customDomain: `${slug}.shop.example` });
  assert.equal(claimed.domainProof.state, 'pending');
  assert.equal(claimed.domainProof.recordName, `_scrip.${slug}.shop.example`);
  await assert.rejects(client.portals.verify(made.id), { code: 'invalid_state' });
  await assert.rejects(client.portals.create({ name: 'Node', slug }), { code: 'already_exists' });
  await client.portals.delete(made.id);
  await client.portals.delete(other.id);
});
