/** `stats`: what was accepted and what became of it, by tag, with the time it took; and the tries that did not deliver. */
import type { Command } from 'commander';
import { wireFault, wireStats } from '../api/wire/stats.ts';
import { DELIVERY_STATES, type DeliveryState, isFinal } from '../core/delivery.ts';
import type { FaultRow, StatsRow } from '../store/history.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { type DatabaseOptions, databaseOptions } from './database.ts';
import { dateTime, span } from '../api/story/format.ts';
import { table } from './format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { openReads } from './reads.ts';
import { countOption, sinceOption } from './time-option.ts';

interface StatsOptions extends GlobalOptions, DatabaseOptions {
  readonly since?: number;
  readonly faults?: boolean;
  readonly top: number;
}

const DEFAULT_SPAN_MS = 86_400_000;
const DEFAULT_TOP = 10;
/** Final states in which the relay did not bring the mail to its next hop, though it was to. */
const FAILED: ReadonlySet<DeliveryState> = new Set(['bounced', 'expired', 'quarantined']);

/** Adds `stats` to `program`. */
export function statsCommand(program: Command, io: CliIo): void {
  databaseOptions(program.command('stats'))
    .description('count messages by tag, what became of them, how long delivery took, and what stood in its way')
    .option('--since <when>', 'from this moment on: 1h, 24h (default), 2026-01-05T10:00:00Z', sinceOption(io.clock))
    .option('--faults', 'only the tries that did not deliver, by kind: with --json, one line for each')
    .option('--top <count>', 'how many kinds of these at most', countOption(1, 1000), DEFAULT_TOP)
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<StatsOptions>();
      const since = options.since ?? io.clock.now() - DEFAULT_SPAN_MS;
      const only = options.faults === true;
      const { history, close } = await openReads(io, options);
      try {
        const { tags, faults } = await history.stats(since, options.top);
        if (wantsJson(io, options)) {
          const lines = only ? faults.map(wireFault) : tags.map(wireStats);
          await io.stdout.write(lines.map((line) => `${jsonLine(line)}\n`).join(''));
          return;
        }
        if (!only) await io.stdout.write(human(io, tags, since));
        await io.stdout.write(inTheWay(io, faults, only, since));
      } finally {
        await close();
      }
    });
}

const right = (title: string): { title: string; align: 'right' } => ({ title, align: 'right' });

function human(io: CliIo, rows: readonly StatsRow[], since: number): string {
  const heading = `Accepted since ${dateTime(since)}\n`;
  if (rows.length === 0) return `${heading}No mail was accepted.\n`;
  const count = (row: StatsRow, states: readonly DeliveryState[]): number =>
    states.reduce((sum, state) => sum + (row.states[state] ?? 0), 0);
  const final = DELIVERY_STATES.filter(isFinal);
  // Only what there is: a column for each of the seven other ends would fill the line with zeros.
  const ends = final.filter((state) => state !== 'delivered' && rows.some((row) => (row.states[state] ?? 0) > 0));
  const titles = ['accepted', 'delivered', 'share', 'waiting', ...ends, 'p50', 'p95', 'p99'];
  const cells = rows.map((row) => [
    row.tag ?? '-',
    ...[row.accepted, count(row, ['delivered'])].map(String),
    share(row),
    // Counters do not tell apart what is not final.
    ...[row.accepted - count(row, final), ...ends.map((end) => count(row, [end]))].map(String),
    ...[row.p50Ms, row.p95Ms, row.p99Ms].map(time),
  ]);
  return heading + table([{ title: 'tag' }, ...titles.map(right)], cells, io.stdout.columns);
}

/** Delivered, of what was delivered or failed; mail that was replaced, suppressed or held back by a guard was not to be. */
function share({ states }: StatsRow): string {
  const delivered = states.delivered ?? 0;
  const failed = [...FAILED].reduce((sum, state) => sum + (states[state] ?? 0), 0);
  return delivered + failed === 0 ? '-' : `${((100 * delivered) / (delivered + failed)).toFixed(1)}%`;
}

function inTheWay(io: CliIo, rows: readonly FaultRow[], only: boolean, since: number): string {
  if (rows.length === 0) return only ? `Nothing stood in the way since ${dateTime(since)}.\n` : '';
  const cells = rows.map((row) => [
    String(row.count),
    row.route,
    row.outcome,
    row.stage,
    row.code === null ? (row.cause ?? '-') : [row.code, row.enhanced].filter((part) => part !== null).join(' '),
    row.response,
  ]);
  const columns = [right('tries'), ...['route', 'outcome', 'at', 'answer', 'the newest'].map((title) => ({ title }))];
  return `${only ? '' : '\n'}What stood in the way\n${table(columns, cells, io.stdout.columns)}`;
}

function time(ms: number | null): string {
  return ms === null ? '-' : span(ms);
}
