/// <reference types="node" />

export interface CardPingOptions {
  /** The API key, cp_live_sk_… or cp_test_sk_…; it decides the realm. */
  apiKey: string;
  /** Where the API is, with or without /v1. Unless given: CARDPING_BASE_URL, then http://127.0.0.1:8420. */
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
}

export interface PortalChange extends Partial<NewPortal> {
  active?: boolean;
}

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

export class CardPingError extends Error {
  readonly code: string;
  /** The HTTP status; null when there was no answer, and for a part of a batch. */
  readonly status: number | null;
  readonly requestId: string | null;
  /** Seconds to wait before trying again. */
  readonly retryAfter: number | null;
}
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
