// The client of virtual cards against a running server with demonstration data.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { CryptoCardy } from '../src/index.js';

const url = process.env.SCRIP_SDK_URL;
if (!url) throw new Error('SCRIP_SDK_URL names no server: go test ./internal/e2e -run TestSDK starts one');

const { seed, card: preview } = await (await fetch(`${url}/v1/api/?card=mastercard&asset=BTC`)).json();
const client = new CryptoCardy(seed, { baseUrl: url });

/** Has a merchant or a chain do something, which is no part of the client. */
async function simulate(what, body) {
  const answer = await fetch(`${url}/v1/api/simulate/${what}`, { method: 'POST', headers: { 'X-Seed': seed, 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  assert.ok(answer.ok, await answer.clone().text());
  return answer.json();
}

await simulate('deposit', { currency: 'btc', amount_crypto: '0.05', confirmations: 6 });

test('the published quick start, with a webhook that brings the code', async (t) => {
  let deliver;
  const delivery = new Promise((resolve) => { deliver = resolve; });
  const receiver = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    response.writeHead(204).end();
    deliver({ raw: Buffer.concat(parts), signature: request.headers['x-cryptocardy-signature'] });
  });
  await new Promise((resolve) => { receiver.listen(0, '127.0.0.1', resolve); });
  t.after(() => { receiver.closeAllConnections(); receiver.close(); });

  const hook = await client.webhooks.create({ url: `http://127.0.0.1:${receiver.address().port}/hooks`, events: ['3ds.challenge'] });
  const card = await client.cards.create({ binId: '491653', amount: 500, label: 'Ad Spend' });
  assert.deepEqual([card.status, card.balance, card.label, card.binId], ['active', 500, 'Ad Spend', '491653']);
  const begun = await simulate('3ds', { card_id: card.id, merchant: 'SPOTIFY', amount: 9.99 });
  const challenges = await client.threeds.list({ cardId: card.id, status: 'pending' });
  assert.deepEqual(challenges.data.map((c) => [c.otp, c.merchant, c.amount]), [[begun.otp, 'SPOTIFY', 9.99]]);
  const { raw, signature } = await delivery;
  assert.equal(client.webhooks.verify(raw, signature, hook.secret).data.otp, begun.otp);
  await client.webhooks.delete(hook.id);
  assert.deepEqual((await client.webhooks.list()).data, []);
});

test('a card waits, becomes active, pays, and ends', async () => {
  assert.equal((await client.cards.get(preview.id)).status, 'pending_top_up');
  await assert.rejects(client.cards.withdraw(preview.id, { amount: 1 }), { name: 'CryptoCardyError', code: 'invalid_state', status: 400 });
  assert.equal((await client.cards.fund(preview.id, { amount: 25.5 })).newBalance, 25.5);
  const paid = await simulate('authorization', { card_id: preview.id, amount: 5, merchant: { name: 'SHOP', mcc: '5411', country: 'US' } });
  await simulate('settlement', { transaction_id: paid.transaction.id });
  const page = await client.transactions.list({ cardId: preview.id, type: 'settlement' });
  assert.deepEqual(page.data.map((line) => [line.amount, line.merchant.category]), [[-5, 'groceries']]);
  assert.deepEqual(page.pagination, { page: 1, perPage: 50, total: 1, totalPages: 1 });
  assert.equal((await client.transactions.get(page.data[0].id)).timeline.length, 2);
  assert.equal((await client.cards.details(preview.id)).pan.slice(0, 6), '531993');
  assert.deepEqual((await client.cards.update(preview.id, { metadata: { some_team: 'growth' } })).metadata, { some_team: 'growth' });
  assert.equal((await client.cards.freeze(preview.id)).status, 'frozen');
  assert.equal((await client.cards.unfreeze(preview.id)).status, 'active');
  assert.equal((await client.cards.terminate(preview.id)).refundedAmount, 20.5);
  assert.equal((await client.cards.list({ status: 'terminated' })).data[0].id, preview.id);
  const wallet = await client.wallet.balance();
  assert.equal(Math.round(wallet.balance * 100), Math.round((wallet.totalDeposited - wallet.totalSpent) * 100));
  assert.equal((await client.wallet.deposits({ status: 'confirmed' })).data[0].amountCrypto, '0.05');
  assert.equal((await client.wallet.depositAddress({ currency: 'eth' })).minDeposit.eth, '0.005');
  assert.equal((await client.bins.list()).data[0].maxTransaction, 5000);
});
