/**
 * `npm run bench`: the relay side by side with its peers, on this machine, in one run.
 *
 * Load, sinks and servers share the machine, and its speed drifts: the contestants take turns, in every round another one
 * first, and the ratios within a run are what counts. Options: `--quick` (short runs, for a look), `--only NAME,NAME` (parts
 * of contestants' names), `--rounds N`, `--backlog N` (instead of all that: N bulk messages wait for a slow next hop, and 100
 * resets go to a fast one and to the slow one). Writes bench/latest.json. Ends with 1 when a run had to be thrown away.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Contestant, makeDkimKey, makeFolder, type Running } from './contestant.ts';
import { haraka } from './haraka.ts';
import type { Mode } from './load.ts';
import {
  type Backlog,
  type Bench,
  type Latency,
  measureBacklog,
  measureLatency,
  measureThroughput,
  SLOW_HOP_MS,
  type Throughput,
} from './measure.ts';
import { postfix } from './postfix.ts';
import { relay } from './relay.ts';
import { startCapturingSink, startCountingSink } from './sinks.ts';
import { describe, type LatencyRow, median, type Report, type ThroughputRow } from './table.ts';

const MODES: readonly Mode[] = [
  { name: '10 connections kept', connections: 10, kept: true },
  { name: '50 connections kept', connections: 50, kept: true },
  { name: 'a connection per mail, 10 at a time', connections: 10, kept: false },
];
const WARM_UP_MESSAGES = 1_000;
const RESETS = 100;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    backlog: { type: 'string', default: '0' },
  },
});
const settings = {
  rounds: Number(options.rounds),
  secondsPerRun: options.quick ? 2 : 8,
  idleMails: options.quick ? 50 : 300,
  backlog: Number(options.backlog),
};
const root = join(import.meta.dirname, '..', '..');
/** What else ran: above a tenth or so a core, the figures say more about that than about the contestants. */
const loadBefore = loadavg()[0] ?? 0;
const FSYNC_PROBES = 200;
const dir = mkdtempSync(join(tmpdir(), 'leadpush-bench-'));
makeFolder(dir);
const fsyncBefore = fsyncMs();

/** Median milliseconds that the disk takes to make 8 KiB durable: the floor of every 250 here. */
function fsyncMs(): number {
  const file = openSync(join(dir, 'fsync'), 'w');
  const times = Array.from({ length: FSYNC_PROBES }, () => {
    writeSync(file, Buffer.alloc(8192));
    const began = performance.now();
    fdatasyncSync(file);
    return performance.now() - began;
  });
  closeSync(file);
  return median(times);
}

interface Player {
  readonly contestant: Contestant;
  readonly running: Running;
  readonly throughput: Map<Mode, Throughput[]>;
  latency: Latency | null;
}

const thrownAway: string[] = [];
const absent: Record<string, string> = {};
const about: Record<string, string> = {};
let homes = 0;
const players: Player[] = [];
const backlogs = new Map<string, Backlog[]>();
const closing: (() => Promise<void>)[] = [];
let closed: Promise<void> | null = null;

/** Ends everything that was started, the last first, whatever one of them says, and removes the folder; once. */
function close(): Promise<void> {
  closed ??= (async () => {
    for (const stop of closing.reverse()) await stop().catch((error: unknown) => console.error(String(error)));
    rmSync(dir, { recursive: true, force: true });
  })();
  return closed;
}

/** The figure of one run, or null when it is not to be used; then the reason is kept. */
async function attempt<T>(what: string, run: () => Promise<T>): Promise<T | null> {
  if (closed !== null) return null;
  process.stderr.write(`${what} ...\n`);
  try {
    return await run();
  } catch (error) {
    thrownAway.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    process.stderr.write(`  thrown away: ${thrownAway.at(-1)}\n`);
    return null;
  }
}

async function runAll(): Promise<void> {
  const bulk = await startCountingSink(dir);
  closing.push(() => bulk.stop());
  const samples = await startCapturingSink();
  closing.push(() => samples.stop());
  const slow = await startCapturingSink(SLOW_HOP_MS);
  closing.push(() => slow.stop());
  const bench: Bench = { bulk, samples, slow, dkim: makeDkimKey(dir) };

  const wanted = [relay, postfix, haraka].filter(
    ({ name }) =>
      options.only === undefined ||
      options.only.split(',').some((part) => name.toLowerCase().includes(part.toLowerCase())),
  );
  for (const contestant of wanted) {
    const reason = contestant.absent();
    if (reason !== null) absent[contestant.name] = reason;
  }
  const taking = wanted.filter(({ name }) => absent[name] === undefined);

  /** Starts `contestant` in a folder of its own. */
  const begin = async (contestant: Contestant): Promise<Player | null> => {
    const home = makeFolder(dir, `home-${homes++}`);
    const place = { dir: home, dkim: bench.dkim, bulkPort: bulk.port, samplePort: samples.port, slowPort: slow.port };
    const running = await attempt(`start ${contestant.name}`, () => contestant.start(place));
    if (running === null) return null;
    about[contestant.name] = running.about;
    let stopped: Promise<void> | null = null;
    const stop = (): Promise<void> => (stopped ??= running.stop());
    closing.push(stop);
    return { contestant, running: { ...running, stop }, throughput: new Map(), latency: null };
  };

  if (settings.backlog > 0) {
    for (let round = 0; round < settings.rounds; round++) {
      for (const [index] of taking.entries()) {
        const contestant = taking[(index + round) % taking.length];
        const player = contestant === undefined ? null : await begin(contestant);
        if (contestant === undefined || player === null) continue;
        const figures = await attempt(`${contestant.name}, ${settings.backlog} waiting, round ${round + 1}`, () =>
          measureBacklog(bench, player.running, settings.backlog, RESETS),
        );
        if (figures !== null) backlogs.set(contestant.name, [...(backlogs.get(contestant.name) ?? []), figures]);
        // What is left of the backlog would be in the way of the next run.
        await player.running.stop();
      }
    }
    return;
  }
  for (const contestant of taking) {
    const player = await begin(contestant);
    if (player !== null) players.push(player);
  }
  for (const mode of MODES) await runMode(bench, mode);
  for (const player of players) {
    player.latency = await attempt(`${player.contestant.name}, idle`, () =>
      measureLatency(bench, player.running, settings.idleMails),
    );
  }
}

/** Warms each contestant up, which also tells how many mails fill a run, then the rounds, each starting with another one. */
async function runMode(bench: Bench, mode: Mode): Promise<void> {
  const sizes = new Map<Player, number>();
  for (const player of players) {
    const warmUp = await attempt(`${mode.name}, ${player.contestant.name}, warm-up`, () =>
      measureThroughput(bench, player.running, mode, WARM_UP_MESSAGES),
    );
    if (warmUp !== null) sizes.set(player, Math.ceil((warmUp.perSecond * settings.secondsPerRun) / 100) * 100);
  }
  for (let round = 0; round < settings.rounds; round++) {
    const order = players.map((_, index) => players[(index + round) % players.length]);
    for (const player of order) {
      const size = player === undefined ? undefined : sizes.get(player);
      if (player === undefined || size === undefined) continue;
      const figure = await attempt(`${mode.name}, ${player.contestant.name}, round ${round + 1}`, () =>
        measureThroughput(bench, player.running, mode, size),
      );
      if (figure !== null) player.throughput.set(mode, [...(player.throughput.get(mode) ?? []), figure]);
    }
  }
}

function report(): Report {
  const throughput: ThroughputRow[] = MODES.flatMap((mode) =>
    players.map((player) => ({
      mode: mode.name,
      contestant: player.contestant.name,
      rounds: player.throughput.get(mode) ?? [],
    })),
  );
  const latency: LatencyRow[] = players.flatMap((player) =>
    player.latency === null ? [] : [{ contestant: player.contestant.name, figures: player.latency }],
  );
  return {
    at: new Date().toISOString(),
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}, Linux ${release()}, Node ${process.version}`,
    loadBefore,
    fsyncMsBefore: fsyncBefore,
    settings,
    about,
    absent,
    throughput,
    latency,
    backlog: [...backlogs].map(([contestant, rounds]) => ({ contestant, rounds })),
    thrownAway,
  };
}

const tools = ['/usr/sbin/smtp-source', '/usr/sbin/smtp-sink'].filter((tool) => !existsSync(tool));
if (tools.length > 0) {
  console.error(`The benchmark needs ${tools.join(' and ')}: install Debian's package postfix.`);
  process.exit(1);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void close().then(() => process.exit(130)));
try {
  await runAll();
} finally {
  await close();
}
const result = report();
mkdirSync(join(root, 'bench'), { recursive: true });
writeFileSync(join(root, 'bench', 'latest.json'), `${JSON.stringify(result, null, 2)}\n`);
console.log(describe(result, relay.name, postfix.name));
process.exitCode = thrownAway.length > 0 ? 1 : 0;
