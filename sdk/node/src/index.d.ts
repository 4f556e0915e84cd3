/// <reference types="node" />

export interface ClientOptions {
  /** Where the API is, with or without its root. Unless given: CARDPING_BASE_URL or CRYPTOCARDY_BASE_URL, then http://127.0.0.1:8420. */
  baseUrl?: string;
  /** Allows http:// to other machines than this one. */
  allowHttp?: boolean;
  /** Milliseconds for one attempt, 60,000 unless given. */
  timeout?: number;
  /** How often a request is sent again, 3 times unless given, 0 for never. */
  maxRetries?: number;
  /** Milliseconds before the first repetition, 500 unless given; doubled each time, to 8 seconds. */
  retryDelay?: number;
  /** The longest Retry-After, in seconds, that is waited for; 60 unless given. */
  maxRetryAfter?: number;
  /** Waits between attempts; for schedulers of your own, and tests. */
  wait?: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
}

export interface CardPingOptions extends ClientOptions {
  /** The API key, cp_live_sk_… or cp_test_sk_…; it decides the realm. */
  apiKey: string;
}

export interface CallOptions {
  signal?: AbortSignal;
}

export interface Check {
  /** The number; dashes and spaces do not matter. */
  cardNumber: string;
  pin?: string;
  /** An id of networks(). */
  network: string;
  /** ISO 4217; USD unless given. */
  currency?: string;
  /** Makes the check repeatable for 24 hours; one is made unless given. */
  idempotencyKey?: string;
}

export interface PingResult {
  id: string;
  status: 'active' | 'inactive' | 'expired' | 'invalid';
  /** In major units of the currency. */
  balance: number;
  currency: string;
  /** YYYY-MM; null when the network does not say. */
  expiry: string | null;
  /** From 0, clean, to 1, high risk. */
  fraudScore: number;
  fraudSignals: string[];
  aiVerified: boolean;
  network: string;
  latencyMs: number;
  /** How many seconds old the balance is. */
  age: number | null;
}

export type BatchItem = { result: PingResult; error?: undefined } | { result?: undefined; error: CardPingError };

export interface Network {
  id: string;
  name: string;
  type: 'open_loop' | 'closed_loop';
  pinRequired: boolean;
  currencies: string[];
  numberLengths: number[];
  status: 'operational' | 'degraded' | 'down';
}

export interface NewWebhook {
  url: string;
  events: string[];
}

export interface WebhookChange {
  url?: string;
  events?: string[];
  active?: boolean;
}

export interface Webhook {
  id: string;
  url: string;
  events: string[];
  /** What requests are signed with, in the answers that make it alone. */
  secret?: string;
  active: boolean;
  /** Why it is not active. */
  reason?: string;
  /** How long the secret before the last rotation signs too. */
  previousUntil?: string;
  createdAt: string;
}

export interface Branding {
  logoUrl?: string;
  primaryColor?: string;
  textColor?: string;
  tagline?: string;
  supportUrl?: string;
  privacyUrl?: string;
}

export interface NewPortal {
  name: string;
  slug: string;
  customDomain?: string;
  branding?: Branding;
  languages?: string[];
  networks?: string[];
  /** Whether the page is served; true unless given. */
  active?: boolean;
}

export type PortalChange = Partial<NewPortal>;

/** The record of DNS that shows whose a domain is. */
export interface DomainProof {
  state: 'pending' | 'verified';
  recordType: 'TXT';
  recordName: string;
  recordText: string;
  checkedAt: string | null;
}

export interface Portal {
  id: string;
  name: string;
  slug: string;
  customDomain: string | null;
  domainProof: DomainProof | null;
  branding: Branding;
  languages: string[];
  networks: string[];
  active: boolean;
  createdAt: string;
}

export interface VerifyOptions {
  /** Seconds that a signature may be old or ahead, 300 unless given. */
  tolerance?: number;
  /** The time in seconds since 1970, the machine's unless given. */
  now?: number;
}

/** An event as it was sent: the names in it are the wire's. */
export interface WebhookEvent<Data = any> {
  id: string;
  type: string;
  created_at: string;
  data: Data;
}

export class CardPing {
  constructor(options: CardPingOptions);
  ping(check: Check, options?: CallOptions): Promise<PingResult>;
  pingBatch(checks: Check[], options?: CallOptions): Promise<BatchItem[]>;
  networks(options?: CallOptions): Promise<Network[]>;
  readonly webhooks: {
    create(webhook: NewWebhook, options?: CallOptions): Promise<Webhook & { secret: string }>;
    list(options?: CallOptions): Promise<Webhook[]>;
    update(id: string, change: WebhookChange, options?: CallOptions): Promise<Webhook>;
    delete(id: string, options?: CallOptions): Promise<void>;
    rotate(id: string, options?: CallOptions): Promise<Webhook & { secret: string }>;
    verify<Data = any>(rawBody: string | Uint8Array, signature: string | string[] | undefined, secret: string, options?: VerifyOptions): WebhookEvent<Data>;
  };
  readonly portals: {
    create(portal: NewPortal, options?: CallOptions): Promise<Portal>;
    list(options?: CallOptions & { cursor?: string; limit?: number }): Promise<{ data: Portal[]; nextCursor: string | null }>;
    get(id: string, options?: CallOptions): Promise<Portal>;
    update(id: string, change: PortalChange, options?: CallOptions): Promise<Portal>;
    verify(id: string, options?: CallOptions): Promise<Portal>;
    delete(id: string, options?: CallOptions): Promise<void>;
  };
}

/** Checks who sent a webhook and returns its event; throws SignatureError. */
export function verifyWebhook<Data = any>(rawBody: string | Uint8Array, signature: string | string[] | undefined, secret: string, options?: VerifyOptions): WebhookEvent<Data>;

export class ApiError extends Error {
  readonly code: string;
  /** The HTTP status; null when there was no answer, and for a part of a batch. */
  readonly status: number | null;
  readonly requestId: string | null;
  /** Seconds to wait before trying again. */
  readonly retryAfter: number | null;
}
export class CardPingError extends ApiError {}
export class AuthError extends CardPingError {}
export class PermissionError extends CardPingError {}
export class InvalidRequestError extends CardPingError {}
export class CardInvalidError extends CardPingError {}
export class NotFoundError extends CardPingError {}
export class ConflictError extends CardPingError {}
export class RateLimitError extends CardPingError {}
export class QuotaExceededError extends CardPingError {}
export class NetworkUnavailableError extends CardPingError {}
export class ServerError extends CardPingError {}
export class ConnectionError extends CardPingError {}
export class SignatureError extends CardPingError {}

export interface ChangeOptions extends CallOptions {
  /** Makes the call repeatable for 24 hours; one is made unless given. */
  idempotencyKey?: string;
}

/** A card in a list. */
export interface CryptoCardyCardLine {
  id: string;
  binId: string;
  network: 'visa' | 'mastercard';
  last4: string;
  status: 'pending_top_up' | 'active' | 'frozen' | 'terminated';
  balance: number;
  /** Of its amounts, where that is not US dollars. */
  currency?: string;
  label: string;
  createdAt: string;
}

export interface CryptoCardyCard extends CryptoCardyCardLine {
  /** The month's. */
  spendingLimit: number;
  totalSpent: number;
  transactionCount: number;
  allowedCategories: string[];
  /** 0 where nothing freezes the card. */
  autoFreezeAt: number;
  metadata: Record<string, string>;
  expiresAt: string;
  lastUsedAt: string | null;
}

export interface CryptoCardyCardSettings {
  label?: string;
  spendingLimit?: number;
  allowedCategories?: string[];
  autoFreezeAt?: number;
  /** Merged; null takes a member away. */
  metadata?: Record<string, string | null>;
}

export interface CryptoCardyNewCard extends CryptoCardyCardSettings {
  binId: string;
  amount: number;
}

export interface CryptoCardyTransaction {
  id: string;
  cardId: string;
  type: 'authorization' | 'settlement' | 'refund' | 'decline';
  /** Below zero for what is, or would have been, spent. */
  amount: number;
  currency: string;
  merchant: { name: string; category: string; mcc: string; country: string };
  balanceAfter: number;
  createdAt: string;
}

export interface CryptoCardyChallenge {
  id: string;
  cardId: string;
  merchant: string;
  amount: number;
  /** Of the amount, where that is not US dollars. */
  currency?: string;
  /** The one-time code. */
  otp: string;
  status: 'pending' | 'completed' | 'expired';
  expiresAt: string;
  createdAt: string;
}

export interface CryptoCardyWebhook {
  id: string;
  url: string;
  events: string[];
  active: boolean;
  reason?: string;
  createdAt: string;
}

export interface CryptoCardyList<T> { data: T[] }
export interface CryptoCardyPage<T> extends CryptoCardyList<T> { pagination: { page: number; perPage: number; total: number; totalPages: number } }

/** What a transfer between the wallet and a card did. */
export interface CryptoCardyMoved { id: string; previousBalance: number; newBalance: number; walletBalance: number }

export class CryptoCardy {
  /** The seed decides whose cards, and in which realm. */
  constructor(seed: string, options?: ClientOptions);
  readonly cards: {
    create(card: CryptoCardyNewCard, options?: ChangeOptions): Promise<CryptoCardyCard>;
    list(filter?: { status?: string; binId?: string; label?: string; sort?: 'created_at' | 'balance' | 'last_used'; order?: 'asc' | 'desc'; page?: number; perPage?: number }, options?: CallOptions): Promise<CryptoCardyPage<CryptoCardyCardLine>>;
    get(id: string, options?: CallOptions): Promise<CryptoCardyCard>;
    details(id: string, options?: CallOptions): Promise<{ id: string; pan: string; cvv: string; expMonth: number; expYear: number; holderName: string; billingAddress: { line1: string; city: string; state: string; zip: string; country: string } }>;
    update(id: string, change: CryptoCardyCardSettings, options?: ChangeOptions): Promise<CryptoCardyCard>;
    freeze(id: string, options?: ChangeOptions): Promise<{ id: string; status: string; frozenAt: string }>;
    unfreeze(id: string, options?: ChangeOptions): Promise<CryptoCardyCard>;
    terminate(id: string, options?: ChangeOptions): Promise<{ id: string; status: string; refundedAmount: number; currency?: string; terminatedAt: string }>;
    fund(id: string, transfer: { amount: number }, options?: ChangeOptions): Promise<CryptoCardyMoved & { fundedAmount: number; repaid?: number }>;
    withdraw(id: string, transfer: { amount: number }, options?: ChangeOptions): Promise<CryptoCardyMoved & { withdrawnAmount: number }>;
  };
  readonly transactions: {
    list(filter?: { cardId?: string; type?: string; from?: string; to?: string; merchant?: string; minAmount?: number; maxAmount?: number; page?: number; perPage?: number }, options?: CallOptions): Promise<CryptoCardyPage<CryptoCardyTransaction>>;
    /** Also has what is known of the payment: authorizationId, status, decline, 3ds, timeline. */
    get(id: string, options?: CallOptions): Promise<CryptoCardyTransaction & Record<string, any>>;
  };
  readonly wallet: {
    balance(options?: CallOptions): Promise<{ balance: number; currency: string; pendingDeposits: number; totalDeposited: number; totalSpent: number; cardsActive: number; cardsTotalBalance: number; owed?: number; owedIn?: Record<string, number> }>;
    depositAddress(filter?: { currency?: string }, options?: CallOptions): Promise<{ addresses: Record<string, string>; networks: Record<string, string>; minDeposit: Record<string, string> }>;
    deposits(filter?: { status?: string; currency?: string; page?: number; perPage?: number }, options?: CallOptions): Promise<CryptoCardyPage<Record<string, any>>>;
  };
  readonly bins: { list(options?: CallOptions): Promise<CryptoCardyList<Record<string, any>>> };
  readonly threeds: {
    list(filter?: { cardId?: string; status?: string; page?: number; perPage?: number }, options?: CallOptions): Promise<CryptoCardyPage<CryptoCardyChallenge>>;
    get(id: string, options?: CallOptions): Promise<CryptoCardyChallenge>;
  };
  readonly webhooks: {
    create(webhook: { url: string; events: string[]; secret?: string }, options?: ChangeOptions): Promise<CryptoCardyWebhook & { secret: string }>;
    list(options?: CallOptions): Promise<CryptoCardyList<CryptoCardyWebhook>>;
    delete(id: string, options?: ChangeOptions): Promise<void>;
    verify<Data = any>(payload: string | Uint8Array, signature: string | string[] | undefined, secret: string): WebhookEvent<Data>;
  };
}

/** Reports whether a webhook's signature, X-CryptoCardy-Signature, was made with its secret over these very bytes. */
export function verifyCryptoCardyWebhook(payload: string | Uint8Array, signature: string | string[] | undefined, secret: string): boolean;

export class CryptoCardyError extends ApiError {}
