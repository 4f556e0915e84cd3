const MAX_ANSWER = 4 << 20; // bytes
const MAX_RETRIES = 10;
const LONGEST_DELAY = 8_000; // milliseconds, of those that nobody asked for

/**
 * Sends requests, and sends those again that may be. Its credential shows in no output.
 *
 * What differs between the APIs is in `api`: header, the credential's; credential, what it is called; variable, of the environment,
 * for where the API is; root, the path that all calls are below; refuse(body, about), connection(message, details) and
 * nonsense(message, details), which make errors.
 */
export class Http {
  #api;
  #credential;
  #base;
  #options;

  constructor(api, credential, options) {
    if (typeof credential !== 'string' || !/^[\x21-\x7e]+$/.test(credential)) throw new TypeError(`want ${api.credential}`);
    this.#api = api;
    this.#credential = credential;
    this.#base = baseOf(api, options);
    this.#options = {
      timeout: bounded('timeout', options.timeout ?? 60_000, 1, 600_000),
      maxRetries: bounded('maxRetries', options.maxRetries ?? 3, 0, MAX_RETRIES),
      retryDelay: bounded('retryDelay', options.retryDelay ?? 500, 0, LONGEST_DELAY),
      maxRetryAfter: bounded('maxRetryAfter', options.maxRetryAfter ?? 60, 0, 3600),
      wait: options.wait ?? wait,
    };
  }

  /**
   * Sends one request, with repetitions, and returns {status, headers, body} of a success.
   * @param {string} method
   * @param {string} path below the root
   * @param {{body?: unknown, repeatable?: boolean, keyed?: boolean, headers?: Record<string, string>, signal?: AbortSignal}} call repeatable: sending it
   *   twice does what sending it once does; keyed: it is sent under a key, and whoever sends it again gets its first answer
   */
  async send(method, path, { body, repeatable = false, keyed = false, headers = {}, signal } = {}) {
    const text = body === undefined ? undefined : JSON.stringify(body);
    let lost = false; // an attempt that may have been carried out all the same
    for (let attempt = 0; ; attempt++) {
      let error;
      try {
        return await this.#once({ method, path, text, headers }, signal);
      } catch (caught) {
        error = caught;
      }
      if (lost && !keyed && method === 'DELETE' && error.status === 404) return { status: 204, headers: new Headers(), body: undefined };
      if (attempt >= this.#options.maxRetries || !this.#worthRepeating(error, repeatable)) throw error;
      lost ||= error.status === null || error.status >= 500;
      await this.#options.wait(this.#delay(attempt, error.retryAfter), signal);
      if (signal?.aborted) throw error;
    }
  }

  #worthRepeating(error, repeatable) {
    if (error.code === 'quota_exceeded' || error.code === 'aborted') return false;
    if ((error.retryAfter ?? 0) > this.#options.maxRetryAfter) return false;
    // Limits come before any work: whatever was refused by one was not done.
    if (error.code === 'rate_limited') return true;
    if (!repeatable) return false;
    return error.status === null || error.status === 429 || [500, 502, 503, 504].includes(error.status);
  }

  /** How many milliseconds to wait: what the server asked for, or twice as long each time with half of it left to chance. */
  #delay(attempt, retryAfter) {
    if (retryAfter !== null && retryAfter !== undefined) return retryAfter * 1000;
    const longest = Math.min(LONGEST_DELAY, this.#options.retryDelay * 2 ** attempt);
    return longest / 2 + Math.random() * (longest / 2);
  }

  async #once(request, signal) {
    const timer = new AbortController();
    const timeout = setTimeout(() => timer.abort(), this.#options.timeout);
    const abort = () => timer.abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      if (signal?.aborted) abort();
      return await this.#exchange(request, timer.signal);
    } catch (error) {
      if (error.status !== undefined) throw error;
      if (signal?.aborted) throw this.#api.connection('the call was aborted', { code: 'aborted', cause: signal.reason });
      if (timer.signal.aborted) throw this.#api.connection(`no answer within ${this.#options.timeout} ms`, { code: 'timed_out' });
      throw this.#api.connection('the connection failed', { code: 'connection_failed', cause: error });
    } finally {
      clearTimeout(timeout);
      signal?.removeEventListener('abort', abort);
    }
  }

  async #exchange({ method, path, text, headers: more }, signal) {
    const headers = { ...more, [this.#api.header]: this.#credential, Accept: 'application/json', 'User-Agent': 'scrip-sdk-node/0.1.0' };
    if (text !== undefined) headers['Content-Type'] = 'application/json';
    // A redirect would carry key and card number to wherever it says.
    const answer = await fetch(`${this.#base}${this.#api.root}${path}`, { method, headers, body: text, signal, redirect: 'manual' });
    const raw = await this.#read(answer);
    const about = { status: answer.status, requestId: answer.headers.get('x-request-id'), retryAfter: seconds(answer.headers.get('retry-after')) };
    const body = parsed(raw);
    if (answer.status < 200 || answer.status > 299) throw this.#api.refuse(body, about);
    if (answer.status !== 204 && (body === null || typeof body !== 'object')) {
      throw this.#api.nonsense('the answer is not JSON', { code: 'invalid_answer', ...about });
    }
    return { status: answer.status, headers: answer.headers, body };
  }

  async #read(answer) {
    const parts = [];
    let size = 0;
    for await (const part of answer.body ?? []) {
      size += part.length;
      if (size > MAX_ANSWER) throw this.#api.nonsense('the answer is too long', { code: 'invalid_answer', status: answer.status });
      parts.push(part);
    }
    return Buffer.concat(parts).toString('utf8');
  }
}

/** Where the API is, without its root and slashes at the end. Credentials go in the clear to this machine alone. */
function baseOf(api, { baseUrl = process.env[api.variable] || 'http://127.0.0.1:8420', allowHttp = false }) {
  const url = new URL(baseUrl);
  const local = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && (local || allowHttp))) {
    throw new TypeError('baseUrl must begin with https://, or allowHttp must be set');
  }
  if (url.username || url.password || url.search || url.hash) throw new TypeError('baseUrl must be a scheme, a host and perhaps a path');
  const base = (url.origin + url.pathname).replace(/\/+$/, '');
  return base.endsWith(api.root) ? base.slice(0, -api.root.length) : base;
}

function bounded(name, value, least, most) {
  if (typeof value !== 'number' || !(value >= least && value <= most)) throw new TypeError(`${name} must be a number from ${least} to ${most}`);
  return value;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Seconds of a Retry-After, which is a number or a date; null without one. */
function seconds(header) {
  if (header === null) return null;
  if (/^[0-9]+$/.test(header.trim())) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - Date.now()) / 1000));
}

function wait(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener('abort', done, { once: true });
    if (signal?.aborted) done();
  });
}
