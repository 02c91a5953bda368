/**
 * `tail`: the newest events, and with `-f` each further one as it happens.
 *
 * It reads the store's events from the database file, so it works beside a running relay and when none runs. Following asks
 * every 200 ms for what came after the last `seq`; `seq` has no gaps, so nothing is missed or shown twice. With `-f`
 * the database may come later: it is waited for. JSON lines are the event bodies, exactly as the API and webhooks send them.
 */
import { type Command, Option } from 'commander';
import { DELIVERY_STATES } from '../core/delivery.ts';
import type { RelayEvent } from '../core/event.ts';
import type { EventFilter, HistoryStore } from '../store/store.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean } from './clean.ts';
import {
  type DatabaseOptions,
  databaseFolder,
  databaseOptions,
  openHistory,
  pause,
  whenDatabaseIsThere,
} from './database.ts';
import { describeEvent, eventWord } from './describe-event.ts';
import { dayOf, timeOfDay } from './format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { createPaint, type Paint, paintState } from './paint.ts';
import { countOption, sinceOption } from './time-option.ts';

interface TailOptions extends GlobalOptions, DatabaseOptions {
  readonly follow?: boolean;
  readonly tag?: string;
  readonly state?: string;
  readonly recipient?: string;
  readonly since?: number;
  readonly lines?: number;
}

const POLL_MS = 200;
const PAGE = 500;
const DEFAULT_LINES = 20;

/** Adds `tail` to `program`. */
export function tailCommand(program: Command, io: CliIo): void {
  databaseOptions(program.command('tail'))
    .description('show what happens to mail: the newest events, with -f as they come')
    .option('-f, --follow', 'go on with each new event')
    .option('--tag <tag>', 'only messages with this tag')
    .addOption(
      new Option('--state <state>', 'only events that led to this state').choices([...DELIVERY_STATES, 'rejected']),
    )
    .option('--recipient <address>', 'only events about this recipient')
    .option('--since <when>', 'from this moment on: 15m, 24h, 2026-01-05T10:00:00Z', sinceOption(io.clock))
    .option(
      '-n, --lines <count>',
      `how many events at most to begin with (default: ${DEFAULT_LINES}; all with --since)`,
      countOption(0, 100_000),
    )
    .action(async (_options: unknown, command: Command) => {
      await tail(io, command.optsWithGlobals<TailOptions>());
    });
}

async function tail(io: CliIo, options: TailOptions): Promise<void> {
  const folder = databaseFolder(io, options);
  if (options.follow === true && !(await whenDatabaseIsThere(io, folder))) return;
  const { history, close } = await openHistory(folder);
  try {
    const print = createPrinter(io, options);
    const filter = filterOf(options);
    const reached = await newestSeq(history);
    await printFirst(io, history, filter, options, reached, print);
    if (options.follow === true) await follow(io, history, filter, reached, print);
  } finally {
    await close();
  }
}

function filterOf(options: TailOptions): Omit<EventFilter, 'limit' | 'afterSeq'> {
  return {
    ...(options.tag === undefined ? {} : { tag: options.tag }),
    ...(options.state === undefined ? {} : { state: options.state }),
    ...(options.recipient === undefined ? {} : { recipient: options.recipient }),
    ...(options.since === undefined ? {} : { sinceMs: options.since }),
  };
}

type Filter = ReturnType<typeof filterOf>;

type Print = (events: readonly RelayEvent[]) => Promise<void>;

/** Prints the events to begin with, none after `reached`: those belong to the following. */
async function printFirst(
  io: CliIo,
  history: HistoryStore,
  filter: Filter,
  options: TailOptions,
  reached: number,
  print: Print,
): Promise<void> {
  const limit = options.lines ?? (options.since === undefined ? DEFAULT_LINES : null);
  if (limit === 0) return;
  if (limit !== null) {
    await print(upTo(await history.events({ ...filter, limit }), reached));
    return;
  }
  for await (const page of pagesAfter(history, filter, 0)) {
    await print(upTo(page, reached));
    if (io.signal.aborted) return;
  }
}

function upTo(events: readonly RelayEvent[], seq: number): readonly RelayEvent[] {
  return events.filter((event) => event.data.seq <= seq);
}

async function follow(io: CliIo, history: HistoryStore, filter: Filter, from: number, print: Print): Promise<void> {
  let reached = from;
  while (await pause(io, POLL_MS)) {
    // One cheap question tells whether anything happened; a filter that matches nothing is not searched from far back.
    const newest = await newestSeq(history);
    if (newest === reached) continue;
    // What was committed since that question belongs to the next look.
    for await (const page of pagesAfter(history, filter, reached)) {
      await print(upTo(page, newest));
      if ((page.at(-1)?.data.seq ?? 0) >= newest) break;
    }
    reached = newest;
  }
}

async function* pagesAfter(history: HistoryStore, filter: Filter, seq: number): AsyncGenerator<readonly RelayEvent[]> {
  let after = seq;
  for (;;) {
    const page = await history.events({ ...filter, afterSeq: after, limit: PAGE });
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.data.seq ?? after;
  }
}

async function newestSeq(history: HistoryStore): Promise<number> {
  return (await history.events({ limit: 1 })).at(-1)?.data.seq ?? 0;
}

function createPrinter(io: CliIo, options: TailOptions): Print {
  if (wantsJson(io, options)) {
    return (events) => io.stdout.write(events.map((event) => `${jsonLine(event)}\n`).join(''));
  }
  const paint = createPaint(io.stdout.hasColor);
  let day = '';
  return (events) => {
    const lines = events.map((event) => {
      const newDay = dayOf(event.timestamp);
      const heading = newDay === day ? '' : `${paint.dim(`${newDay}, times in UTC`)}\n`;
      day = newDay;
      return `${heading}${humanLine(event, paint)}\n`;
    });
    return io.stdout.write(lines.join(''));
  };
}

function humanLine(event: RelayEvent, paint: Paint): string {
  const { message, delivery } = event.data;
  const word = eventWord(event);
  return [
    paint.dim(timeOfDay(event.timestamp)),
    paintState(paint, word, word.padEnd(11)),
    paint.bold(clean(delivery?.recipient ?? '-').padEnd(28)),
    clean(message?.tag ?? '-').padEnd(18),
    describeEvent(event),
    paint.dim(message?.id ?? ''),
  ]
    .join('  ')
    .trimEnd();
}
