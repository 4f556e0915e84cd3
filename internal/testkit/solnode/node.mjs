// A node of Solana for tests, which is no node: the runtime and the programs of tokens are
// the real ones (LiteSVM), and the JSON-RPC in front of them is this file, as far as deposits
// need it. There are no votes and no forks: a slot comes when a test says so, the newest one
// is confirmed, and what is 32 slots older is final. What a test asks for begins with test_.
//
// It listens on a port of its choice, on loopback, says which, and ends with its input.
import http from 'node:http';
import { FailedTransactionMetadata, LiteSVM } from 'litesvm';
import {
  AccountRole, appendTransactionMessageInstructions, createTransactionMessage, generateKeyPairSigner, getAddressEncoder, getBase58Decoder,
  getBase64Decoder, getProgramDerivedAddress, getSignatureFromTransaction, lamports, setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash, signTransactionMessageWithSigners,
} from '@solana/kit';

const system = '11111111111111111111111111111111';
const tokens = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA';
const associated = 'ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL';
const genesis = 'ScripTestsHaveThisGenesisHashAndNoChainHas1';
const untilFinal = 32n;

const svm = new LiteSVM();
const payer = await generateKeyPairSigner();
svm.airdrop(payer.address, lamports(1_000_000_000_000n));
let slot = 100n;
let history = []; // what was carried out, oldest first
const dropped = new Map(); // what the chain gave up, by signature

function moveTo(next) {
  slot = next;
  svm.warpToSlot(slot);
  svm.expireBlockhash();
  const clock = svm.getClock();
  clock.unixTimestamp = BigInt(Math.floor(Date.now() / 1000));
  svm.setClock(clock);
}
moveTo(slot);

const base58 = (bytes) => getBase58Decoder().decode(bytes);
const base64 = (bytes) => getBase64Decoder().decode(bytes);
const inContext = (value) => ({ context: { slot }, value });

// little writes numbers of some bytes each, the lowest byte first.
function little(...fields) {
  const bytes = [];
  for (const [size, value] of fields) {
    for (let i = 0n; i < size; i++) bytes.push(Number((BigInt(value) >> (8n * i)) & 255n));
  }
  return new Uint8Array(bytes);
}

const paying = () => ({ address: payer.address, role: AccountRole.WRITABLE_SIGNER, signer: payer });
const writable = (address) => ({ address, role: AccountRole.WRITABLE });
const readonly = (address) => ({ address, role: AccountRole.READONLY });

function transfer(to, units) {
  return { programAddress: system, accounts: [paying(), writable(to)], data: little([4, 2], [8, units]) };
}

async function accountOf(owner, mint) {
  const encode = (address) => getAddressEncoder().encode(address);
  const [address] = await getProgramDerivedAddress({ programAddress: associated, seeds: [encode(owner), encode(tokens), encode(mint)] });
  return address;
}

// tokenOf is a token account's content; null for any other account.
function tokenOf(account) {
  if (!account.exists || account.programAddress !== tokens || account.data.length !== 165) return null;
  const data = Buffer.from(account.data);
  return { mint: base58(data.subarray(0, 32)), owner: base58(data.subarray(32, 64)), amount: data.readBigUInt64LE(64).toString() };
}

function snapshot(keys) {
  const accounts = keys.map((key) => svm.getAccount(key));
  const held = [];
  accounts.forEach((account, accountIndex) => {
    const token = tokenOf(account);
    if (token) held.push({ accountIndex, mint: token.mint, owner: token.owner, programId: tokens, uiTokenAmount: { amount: token.amount, decimals: 6 } });
  });
  return { accounts, lamports: accounts.map((account) => (account.exists ? account.lamports : 0n)), tokens: held };
}

// carryOut signs instructions, has the runtime carry them out, and returns the signature. It
// throws unless they fail exactly when they should.
async function carryOut(instructions, fails = false) {
  moveTo(slot + 1n);
  let message = createTransactionMessage({ version: 'legacy' });
  message = setTransactionMessageFeePayerSigner(payer, message);
  message = setTransactionMessageLifetimeUsingBlockhash({ blockhash: svm.latestBlockhash(), lastValidBlockHeight: slot + 150n }, message);
  message = appendTransactionMessageInstructions(instructions, message);
  const transaction = await signTransactionMessageWithSigners(message);
  const keys = [...new Set([payer.address, ...instructions.flatMap((i) => [...i.accounts.map((a) => a.address), i.programAddress])])];
  const before = snapshot(keys);
  const result = svm.sendTransaction(transaction);
  const err = result instanceof FailedTransactionMetadata ? { InstructionError: [0, String(result.err())] } : null;
  if ((err !== null) !== fails) throw new Error(`the runtime: ${JSON.stringify(err)}`);
  const signature = getSignatureFromTransaction(transaction);
  history.push({ signature, slot, keys, before, after: snapshot(keys), err });
  return signature;
}

// restore has the accounts of a transaction, but for the payer's, be what they were.
function restore(entry, moment) {
  moment.accounts.forEach((account, i) => {
    const key = entry.keys[i];
    if (key === payer.address) return;
    if (account.exists) svm.setAccount(account);
    else svm.setAccount({ address: key, lamports: lamports(0n), programAddress: system, data: new Uint8Array(), executable: false, space: 0n });
  });
}

const levelOf = (entry) => (entry.slot + untilFinal <= slot ? 'finalized' : 'confirmed');

function shown(address, slice) {
  const account = svm.getAccount(address);
  if (!account.exists || account.lamports === 0n) return null;
  const data = slice ? account.data.slice(slice.offset, slice.offset + slice.length) : account.data;
  return { lamports: account.lamports, owner: account.programAddress, executable: account.executable, rentEpoch: 0, space: account.data.length, data: [base64(data), 'base64'] };
}

const methods = {
  getHealth: () => 'ok',
  getGenesisHash: () => genesis,
  getFirstAvailableBlock: () => 0,
  getSlot: ({ commitment }) => (commitment === 'finalized' ? slot - untilFinal : slot),
  getAccountInfo: (address, { dataSlice }) => inContext(shown(address, dataSlice)),
  getMultipleAccounts: (addresses, { dataSlice }) => inContext(addresses.map((address) => shown(address, dataSlice))),
  getSignaturesForAddress(address, { limit = 1000, before, until }) {
    let all = history.filter((entry) => entry.keys.includes(address)).reverse();
    const at = (signature) => all.findIndex((entry) => entry.signature === signature);
    if (until && at(until) >= 0) all = all.slice(0, at(until));
    if (before) all = all.slice(at(before) + 1);
    return all.slice(0, limit).map((entry) => ({ signature: entry.signature, slot: entry.slot, err: entry.err, memo: null, confirmationStatus: levelOf(entry) }));
  },
  getTransaction(signature) {
    const entry = history.find((e) => e.signature === signature);
    if (!entry) return null;
    return {
      slot: entry.slot, version: 'legacy', transaction: { signatures: [signature], message: { accountKeys: entry.keys } },
      meta: {
        err: entry.err, fee: 5000, preBalances: entry.before.lamports, postBalances: entry.after.lamports,
        preTokenBalances: entry.before.tokens, postTokenBalances: entry.after.tokens,
      },
    };
  },
  getSignatureStatuses: (signatures) => inContext(signatures.map((signature) => {
    const entry = history.find((e) => e.signature === signature);
    return entry ? { slot: entry.slot, confirmations: null, err: entry.err, confirmationStatus: levelOf(entry) } : null;
  })),

  // test_slots has so many slots come.
  test_slots(count) { moveTo(slot + BigInt(count)); return slot; },
  // test_pay pays lamports to an address.
  test_pay: (to, units) => carryOut([transfer(to, units)]),
  // test_fail has a payment to an address fail in its second half.
  test_fail: (to, units) => carryOut([transfer(to, units), transfer(to, 1_000_000_000_000_000n)], true),
  // test_mint makes a token with six decimals.
  async test_mint() {
    const mint = await generateKeyPairSigner();
    const rent = svm.minimumBalanceForRentExemption(82n);
    const owner = getAddressEncoder().encode(tokens);
    const made = { address: mint.address, role: AccountRole.WRITABLE_SIGNER, signer: mint };
    await carryOut([
      { programAddress: system, accounts: [paying(), made], data: new Uint8Array([...little([4, 0], [8, rent], [8, 82]), ...owner]) },
      { programAddress: tokens, accounts: [writable(mint.address)], data: new Uint8Array([20, 6, ...getAddressEncoder().encode(payer.address), 0]) },
    ]);
    return mint.address;
  },
  // test_send gives an owner units of a token, and makes the account for it if there is none.
  async test_send(mint, owner, units) {
    const account = await accountOf(owner, mint);
    return carryOut([
      { programAddress: associated, accounts: [paying(), writable(account), readonly(owner), readonly(mint), readonly(system), readonly(tokens)], data: new Uint8Array([1]) },
      { programAddress: tokens, accounts: [writable(mint), writable(account), { ...paying(), role: AccountRole.READONLY_SIGNER }], data: little([1, 7], [8, units]) },
    ]);
  },
  // test_drop has the chain give up a transaction, test_again has it come into the next slot.
  test_drop(signature) {
    const entry = history.find((e) => e.signature === signature);
    history = history.filter((e) => e !== entry);
    dropped.set(signature, entry);
    restore(entry, entry.before);
    return true;
  },
  test_again(signature) {
    const entry = dropped.get(signature);
    moveTo(slot + 1n);
    restore(entry, entry.after);
    history.push({ ...entry, slot });
    return true;
  },
};

async function answer(text) {
  const { id, method, params = [] } = JSON.parse(text);
  if (!methods[method]) return { jsonrpc: '2.0', id, error: { code: -32601, message: `there is no ${method}` } };
  try {
    return { jsonrpc: '2.0', id, result: await methods[method](...params) };
  } catch (error) {
    return { jsonrpc: '2.0', id, error: { code: -32603, message: String(error?.stack ?? error) } };
  }
}

const server = http.createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const said = await answer(Buffer.concat(parts).toString());
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(said, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port} ${genesis}`));
process.stdin.on('end', () => process.exit(0)).resume();
