/**
 * One request to a receiver, and what it answered.
 *
 * A status from 200 to 299 is success, whatever follows it. Redirects are not followed: only the config says where events
 * go. Proxies in the environment are not used, certificates are verified, TLS is 1.2 at least. The whole exchange has a
 * limit; of the answer's body a little is read and kept, and nothing of it is believed.
 */
import http from 'node:http';
import https from 'node:https';
import { errorCode, errorText } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import { hostLookup } from '../delivery/host-lookup.ts';
import { limitInterim } from '../delivery/interim.ts';
import { runStep } from '../delivery/smtp/step.ts';
import { cleanRemoteText } from '../mail/clean.ts';
import { parseRetryAfter } from './retry.ts';
import { signatureHeaders } from './signature.ts';

/** Where events go, as far as a request needs it. */
export interface Target {
  readonly url: string;
  readonly secrets: readonly Uint8Array[];
  /** PEM text of the authorities to trust; null: the system's. */
  readonly ca: string | null;
}

export interface Answer {
  /** `aborted`: the relay broke it off; nothing is known. */
  readonly kind: 'ok' | 'failed' | 'aborted';
  /** Null: no answer came. */
  readonly status: number | null;
  /** One line, cleaned and cut: the answer's body, or what went wrong. */
  readonly text: string;
  readonly retryAfterMs: number | null;
  readonly ms: number;
}

export interface Exchange {
  /** Posts `body` (JSON) under the id `id`. Never rejects. */
  post(id: string, body: string, signal: AbortSignal): Promise<Answer>;
  /** Closes its connections as soon as nothing is under way on them. */
  close(): void;
}

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly userAgent: string;
  /** Connections at most. */
  readonly connections: number;
}

export const EXCHANGE_LIMIT_MS = 15_000;
const MAX_BODY_BYTES = 8192;
const MAX_TEXT_CHARS = 512;
const MAX_LOCATION_CHARS = 120;
/** Below the 5 s that many servers keep an idle connection. */
const IDLE_MS = 4000;

/** Makes the way to one receiver. */
export function createExchange(target: Target, deps: ExchangeDeps): Exchange {
  const { clock } = deps;
  const url = new URL(target.url);
  const isTls = url.protocol === 'https:';
  const pool = { keepAlive: true, maxSockets: deps.connections, timeout: IDLE_MS };
  const agent = isTls
    ? new https.Agent({
        ...pool,
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
        ...(target.ca === null ? {} : { ca: target.ca }),
      })
    : new http.Agent(pool);
  let active = 0;
  let isClosing = false;
  const secretTexts = target.secrets.map((secret) => Buffer.from(secret).toString('base64').replace(/=+$/, ''));

  /** What a receiver echoes of the signature or a secret is taken out before anything else is done with the text. */
  function shown(text: string): string {
    const bare = secretTexts.reduce((rest, secret) => rest.replaceAll(secret, '\u2026'), text);
    return cleanRemoteText(bare.replace(/(whsec_|v1,)[\w+/=-]+/g, '$1\u2026'), MAX_TEXT_CHARS);
  }

  function once(id: string, body: string, signal: AbortSignal, mayRepeat: boolean): Promise<Answer> {
    const startedMs = clock.monotonicMs();
    const bytes = Buffer.from(body, 'utf8');
    const answer = (kind: Answer['kind'], text: string, head?: http.IncomingMessage): Answer => ({
      kind,
      status: head?.statusCode ?? null,
      text: shown(text),
      retryAfterMs: parseRetryAfter(head?.headers['retry-after'], clock.now()),
      ms: Math.round(clock.monotonicMs() - startedMs),
    });
    if (signal.aborted) return Promise.resolve(answer('aborted', ''));
    const request = (isTls ? https : http).request(url, {
      method: 'POST',
      agent,
      lookup: hostLookup('webhook'),
      headers: {
        'content-type': 'application/json',
        'content-length': bytes.length,
        'accept-encoding': 'identity',
        'user-agent': deps.userAgent,
        ...signatureHeaders(target.secrets, id, clock.now(), body),
      },
    });
    let isWhole = false;
    return runStep<Answer | 'repeat'>(
      clock,
      signal,
      () => answer('aborted', ''),
      (step) => {
        let head: http.IncomingMessage | null = null;
        const parts: Buffer[] = [];
        let size = 0;
        const finish = (otherwise: string): void => {
          if (head === null) step.settle(answer('failed', otherwise));
          else step.settle(judge(head, Buffer.concat(parts).toString('utf8'), answer));
        };
        step.limit(EXCHANGE_LIMIT_MS, () => finish(`no answer within ${EXCHANGE_LIMIT_MS / 1000} s`));
        request.on('error', (error) => {
          // The receiver closed a kept connection just as it was used again: the request was not read.
          if (head === null && mayRepeat && request.reusedSocket && errorCode(error) === 'ECONNRESET') {
            step.settle('repeat');
          } else finish(errorText(error) || (errorCode(error) ?? 'the connection failed'));
        });
        request.once('close', () => finish('the connection was closed without an answer'));
        limitInterim(request, finish);
        request.once('response', (response) => {
          head = response;
          response.on('error', () => finish(''));
          response.on('data', (part: Buffer) => {
            // A piece from the network holds thousands of chunks of one octet, and each comes here.
            if (size >= MAX_BODY_BYTES) return;
            parts.push(part.subarray(0, MAX_BODY_BYTES - size));
            size += part.length;
            if (size >= MAX_BODY_BYTES) finish('');
          });
          response.once('end', () => {
            isWhole = true;
            finish('');
          });
        });
        request.end(bytes);
      },
    ).then((result) => {
      // After a whole answer the connection is the next request's.
      if (!isWhole) request.destroy();
      return result === 'repeat' ? once(id, body, signal, false) : result;
    });
  }

  function closeWhenIdle(): void {
    if (isClosing && active === 0) agent.destroy();
  }

  return {
    async post(id, body, signal) {
      active++;
      try {
        return await once(id, body, signal, true);
      } finally {
        active--;
        closeWhenIdle();
      }
    },
    close() {
      isClosing = true;
      closeWhenIdle();
    },
  };
}

function judge(
  head: http.IncomingMessage,
  text: string,
  answer: (kind: Answer['kind'], text: string, head: http.IncomingMessage) => Answer,
): Answer {
  const status = head.statusCode ?? 0;
  if (status >= 200 && status < 300) return answer('ok', text, head);
  if (status < 300 || status >= 400) return answer('failed', text, head);
  const location = cleanRemoteText(head.headers.location ?? '', MAX_LOCATION_CHARS);
  return answer('failed', `redirects are not followed${location === '' ? '' : `: ${location}`}`, head);
}
