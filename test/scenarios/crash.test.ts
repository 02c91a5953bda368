/**
 * kill -9 of a loaded relay, again and again, at random and at named stages, against a ledger that the clients keep.
 *
 * What must hold at the end: every message answered with 250 arrived; no message arrived more often than once plus the
 * number of its attempts that are recorded as `uncertain`; every delivery is final; the event sequence has no gap.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countCopies, type DeliveryRow, eventGaps, openDeliveries, readDeliveries } from '../support/ledger.ts';
import { type Ledger, startLoad } from '../support/load.ts';
import { type NextHop, startNextHop, type Step } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';

const RANDOM_KILLS = 76;
const KILLS_PER_STAGE = 4;
const SENDERS = 6;

/** Where the relay is killed: a moment of the client, or a step that the next hop reached. */
type Stage =
  | 'dot-written'
  | 'answered'
  | Extract<Step, 'MAIL' | 'RCPT' | 'DATA' | 'content' | 'dot' | 'connect'>
  | 'random';
const STAGES: readonly Stage[] = ['dot-written', 'answered', 'connect', 'MAIL', 'RCPT', 'DATA', 'content', 'dot'];

describe('kill -9', () => {
  let hop: NextHop;
  let home: RelayHome;
  const ledger: Ledger = { accepted: new Set(), unknown: new Set() };
  let rows: readonly DeliveryRow[] = [];
  let copies: ReadonlyMap<string, number> = new Map();
  let kills = 0;

  beforeAll(async () => {
    hop = await startNextHop();
    home = await createRelayHome(
      sandboxConfig({
        routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none', connections: 4 } },
        rules: [{ name: 'default', via: ['hop'] }],
        retry: { critical: ['200ms'] },
      }),
    );
    let number = 0;
    const nextToken = (): string => `load-${number++}`;
    // The stages take turns with kills at random, so that no stage meets the same few messages again and again.
    const staged = Array.from({ length: KILLS_PER_STAGE }, () => STAGES).flat();
    const plan = Array.from({ length: RANDOM_KILLS + staged.length }, (_, i): Stage => {
      const every = Math.floor((RANDOM_KILLS + staged.length) / staged.length);
      return (i % every === 0 ? staged[i / every] : undefined) ?? 'random';
    });
    expect(plan.filter((stage) => stage !== 'random')).toHaveLength(staged.length);
    for (const stage of plan) {
      const relay = await home.start();
      await killAt(stage, relay, hop, ledger, nextToken);
      kills++;
    }

    const last = await home.start();
    await until(() => openDeliveries(home) === 0, 'every delivery final', 120_000);
    expect(await last.stop()).toBe(0);
    rows = readDeliveries(home);
    copies = countCopies(hop);
  }, 600_000);

  afterAll(async () => {
    await hop?.close();
    await home?.remove();
  });

  it(`was survived ${RANDOM_KILLS + STAGES.length * KILLS_PER_STAGE} times, under load`, () => {
    expect(kills).toBeGreaterThanOrEqual(100);
    expect(ledger.accepted.size).toBeGreaterThan(kills);
  });

  it('loses no message that was answered with 250', () => {
    const lost = [...ledger.accepted].filter((token) => !copies.has(token));
    expect(lost).toEqual([]);
  });

  it('makes a second copy only where an attempt is recorded as uncertain', () => {
    const uncertain = new Map(rows.map((row) => [row.token, row.uncertain]));
    const unexplained = [...copies].filter(([token, count]) => count > 1 + (uncertain.get(token) ?? 0));
    expect(unexplained).toEqual([]);
  });

  it('sends nothing that was not accepted or left open', () => {
    const strangers = [...copies.keys()].filter((token) => !ledger.accepted.has(token) && !ledger.unknown.has(token));
    expect(strangers).toEqual([]);
  });

  it('leaves every delivery delivered', () => {
    expect(rows.filter((row) => row.state !== 'delivered')).toEqual([]);
  });

  it('leaves no gap in the event sequence', () => {
    expect(eventGaps(home)).toBe(0);
  });
});

/** Loads `relay` and kills it at `stage`. */
async function killAt(
  stage: Stage,
  relay: RelayProcess,
  hop: NextHop,
  ledger: Ledger,
  nextToken: () => string,
): Promise<void> {
  let seen = 0;
  const after = 3 + Math.floor(Math.random() * 20);
  let fire: () => void = () => {};
  const reached = new Promise<void>((resolve) => {
    fire = resolve;
  });
  // The signal goes out in the same turn in which the moment is seen.
  const moment = (): void => {
    if (++seen === after) {
      relay.signal('SIGKILL');
      fire();
    }
  };
  const load = startLoad({
    port: relay.smtpPort,
    ledger,
    senders: SENDERS,
    nextToken,
    on: (what) => {
      if (what === stage) moment();
    },
  });
  if (stage === 'random') {
    setTimeout(() => {
      relay.signal('SIGKILL');
      fire();
    }, Math.random() * 150);
  } else if (stage === 'connect') {
    // Connections are kept: the first few after the start are all there are.
    hop.on('connect', () => {
      relay.signal('SIGKILL');
      fire();
      return null;
    });
  } else if (stage !== 'dot-written' && stage !== 'answered') {
    hop.on(stage, () => {
      moment();
      return null;
    });
  }
  await reached;
  await relay.exited;
  await load.stop();
  if (stage !== 'random' && stage !== 'dot-written' && stage !== 'answered') hop.on(stage, null);
}
