/** An HTTP server that answers as the test says, and the runtime of an SDK whose time the test moves. */
import { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Runtime } from '../../src/sdk/runtime.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';

export interface Asked {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Answer = (response: ServerResponse, asked: Asked) => void;

export interface FakeRelay {
  readonly baseUrl: string;
  readonly asked: readonly Asked[];
  /** Answers in order; the last one goes for everything that comes after. */
  answer(...answers: readonly Answer[]): void;
  close(): Promise<void>;
}

/** Starts the server; it answers 500 without a body until it is told otherwise. */
export async function startFakeRelay(): Promise<FakeRelay> {
  const asked: Asked[] = [];
  let answers: Answer[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks),
      };
      asked.push(one);
      const next = answers.length > 1 ? answers.shift() : answers[0];
      if (next === undefined) response.writeHead(500).end();
      else next(response, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer(...next) {
      answers = [...next];
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers with `value` as JSON. */
export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
}

/** Answers with a problem. */
export function problem(status: number, code: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const body = { type: 'about:blank', title: 'A title', status, detail: 'A detail.', code, request_id: 'req-1' };
  return json(body, status, { ...headers, 'content-type': 'application/problem+json' });
}

/** Breaks the connection in place of an answer. */
export const hangUp: Answer = (response) => void response.socket?.destroy();

/** Takes the request and never answers. */
export const silence: Answer = () => {};

export interface TestRuntime extends Runtime {
  readonly clock: ManualClock;
  /** Resolves when a timer of `delayMs` is set next: what waits for it has begun to wait. */
  timerSet(delayMs: number): Promise<void>;
}

/** Time stands still until the test moves it; chance is always a half, keys are `key-1`, `key-2`. */
export function createTestRuntime(): TestRuntime {
  const clock = createManualClock(Date.UTC(2026, 0, 5, 10));
  const timers = new EventEmitter();
  let keys = 0;
  return {
    clock,
    now: clock.now,
    after(delayMs, fire) {
      const cancel = clock.after(delayMs, fire);
      timers.emit(String(delayMs));
      return cancel;
    },
    timerSet: (delayMs) => new Promise((resolve) => void timers.once(String(delayMs), () => resolve())),
    random: () => 0.5,
    uniqueKey: () => `key-${(keys += 1)}`,
  };
}

/** Moves time on in small steps until `promise` is settled, as it may have timers to come that wait for real sockets. */
export async function driving<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => {});
  while (!settled) {
    await clock.advance(50);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return watched;
}
