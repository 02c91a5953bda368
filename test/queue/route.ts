/** Routes for the tests of the queue: transports that the test answers for. */
import type { Outcome } from '../../src/core/outcome.ts';
import type { DeliveryRequest, Transport } from '../../src/delivery/transport.ts';
import type { LaneTarget } from '../../src/queue/lane.ts';

export const DELIVERED: Outcome = {
  kind: 'delivered',
  stage: 'dot',
  nextHop: 'hop:25',
  tls: null,
  code: 250,
  enhanced: '2.0.0',
  response: 'ok',
  timings: {},
};

/** Nobody is there: the route's own fault, before anything was sent. */
export const REFUSED_CONNECTION: Outcome & { readonly kind: 'deferred' } = {
  ...DELIVERED,
  kind: 'deferred',
  cause: 'connect',
  stage: 'connect',
  code: null,
  enhanced: null,
  response: 'connection refused',
};

export const GIVEN_UP: Outcome = { ...REFUSED_CONNECTION, cause: 'local', response: 'given up' };

export interface FakeTransport extends Transport {
  readonly calls: { readonly request: DeliveryRequest; readonly answer: (outcome: Outcome) => void }[];
  readonly probes: { readonly answer: (outcome: Outcome) => void }[];
  highWater: number;
}

export interface FakeOptions {
  readonly capacity?: number;
  readonly perDestination?: number | null;
  /** Default: it can be down as a whole. */
  readonly canBeDown?: boolean;
  /** Answers every delivery at once; null: the test answers each. */
  readonly always?: Outcome | null;
}

/** A transport that notes what runs at the same time; an abort ends a delivery as given up. */
export function createFakeTransport(options: FakeOptions = {}): FakeTransport {
  let running = 0;
  const wait = (signal: AbortSignal, ask: (answer: (outcome: Outcome) => void) => void): Promise<Outcome> =>
    new Promise((resolve) => {
      ask(resolve);
      if (signal.aborted) resolve(GIVEN_UP);
      signal.addEventListener('abort', () => resolve(GIVEN_UP));
    });
  const fake: FakeTransport = {
    capacity: options.capacity ?? 1,
    rate: null,
    perDestination: options.perDestination ?? null,
    calls: [],
    probes: [],
    highWater: 0,
    probe: options.canBeDown === false ? null : (signal) => wait(signal, (answer) => void fake.probes.push({ answer })),
    async deliver(request, signal) {
      fake.highWater = Math.max(fake.highWater, ++running);
      try {
        return await wait(signal, (answer) => {
          fake.calls.push({ request, answer });
          if (options.always != null) answer(options.always);
        });
      } finally {
        running--;
      }
    },
    stop: () => Promise.resolve(),
  };
  return fake;
}

export const target = (transport: Transport, over: Partial<LaneTarget> = {}): LaneTarget => ({
  transport,
  captures: false,
  isProtected: true,
  ...over,
});
