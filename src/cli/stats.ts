/** `stats`: what was accepted and what became of it, by tag, with the time it took. */
import type { Command } from 'commander';
import { wireStats } from '../api/wire/stats.ts';
import { DELIVERY_STATES, isFinal } from '../core/delivery.ts';
import type { StatsRow } from '../store/store.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { type DatabaseOptions, databaseOptions, openDatabase } from './database.ts';
import { dateTime, span, table } from './format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { sinceOption } from './time-option.ts';

interface StatsOptions extends GlobalOptions, DatabaseOptions {
  readonly since?: number;
}

const DEFAULT_SPAN_MS = 86_400_000;

/** Adds `stats` to `program`. */
export function statsCommand(program: Command, io: CliIo): void {
  databaseOptions(program.command('stats'))
    .description('count messages by tag, what became of them, and how long delivery took')
    .option('--since <when>', 'from this moment on: 1h, 24h (default), 2026-01-05T10:00:00Z', sinceOption(io.clock))
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<StatsOptions>();
      const since = options.since ?? io.clock.now() - DEFAULT_SPAN_MS;
      const { history, close } = await openDatabase(io, options);
      try {
        const rows = await history.stats(since);
        if (wantsJson(io, options)) {
          await io.stdout.write(rows.map((row) => `${jsonLine(wireStats(row))}\n`).join(''));
        } else await io.stdout.write(human(io, rows, since));
      } finally {
        await close();
      }
    });
}

function human(io: CliIo, rows: readonly StatsRow[], since: number): string {
  const heading = `Accepted since ${dateTime(since)}\n`;
  if (rows.length === 0) return `${heading}No mail was accepted.\n`;
  const columns = [
    { title: 'tag' },
    ...['accepted', 'delivered', 'waiting', 'failed', 'p50', 'p95', 'p99'].map((title) => ({
      title,
      align: 'right' as const,
    })),
  ];
  const cells = rows.map((row) => {
    const delivered = row.states.delivered ?? 0;
    const count = (wanted: boolean): number =>
      DELIVERY_STATES.filter((state) => isFinal(state) === wanted).reduce(
        (sum, state) => sum + (row.states[state] ?? 0),
        0,
      );
    return [
      row.tag ?? '-',
      String(row.accepted),
      String(delivered),
      String(count(false)),
      String(count(true) - delivered),
      time(row.p50Ms),
      time(row.p95Ms),
      time(row.p99Ms),
    ];
  });
  return heading + table(columns, cells, io.stdout.columns);
}

function time(ms: number | null): string {
  return ms === null ? '-' : span(ms);
}
