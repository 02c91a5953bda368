/**
 * `tail`: the newest events, and with `-f` each further one as it happens.
 *
 * It reads the store's events from the database file, so it works beside a running relay and when none runs; or, with
 * `--file`, the relay's JSON log; or with `--url` it asks a relay elsewhere. With `-f` the database may come later: it is waited for. JSON lines are the event bodies,
 * exactly as the API and webhooks send them; from a log, what the log has of them.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DELIVERY_STATES } from '../core/delivery.ts';
import { RelayError } from '../core/errors.ts';
import { EVENT_TYPES, type EventType } from '../core/event.ts';
import { ROUTE_REACH } from '../store/history.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean } from '../api/story/clean.ts';
import { type DatabaseOptions, databaseFolder, databaseOptions, openHistory, whenDatabaseIsThere } from './database.ts';
import { describeEvent, eventWord } from '../api/story/describe-event.ts';
import { dayOf, timeOfDay } from '../api/story/format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { createPaint, type Paint, paintState } from './paint.ts';
import { openRemote } from './remote/open.ts';
import { RemoteError } from './remote/remote-error.ts';
import { remoteTail } from './remote/tail-remote.ts';
import { databaseTail } from './tail-database.ts';
import { fileTail } from './tail-file.ts';
import type { ToldEvent } from '../api/story/describe-event.ts';
import type { TailFilter, TailSource } from './tail-source.ts';
import { countOption, sinceOption } from './time-option.ts';

interface TailOptions extends GlobalOptions, DatabaseOptions {
  readonly file?: readonly string[];
  readonly follow?: boolean;
  readonly tag?: string;
  readonly state?: string;
  readonly type?: readonly EventType[];
  readonly recipient?: string;
  readonly flow?: string;
  readonly route?: string;
  readonly since?: number;
  readonly until?: number;
  readonly lines?: number;
}

const DEFAULT_LINES = 20;
/** Wider ones push the rest of their line to the right. */
const RECIPIENT_WIDTH = 28;
const TAG_WIDTH = 18;

/** Adds `tail` to `program`. */
export function tailCommand(program: Command, io: CliIo): void {
  databaseOptions(program.command('tail'))
    .description('show what happens to mail: the newest events, with -f as they come')
    .option('-f, --follow', 'go on with each new event')
    .option('--file <file>', "read the relay's JSON log instead; several in their order, - for standard input", append)
    .option('--tag <tag>', 'only messages with this tag')
    .addOption(
      new Option('--state <state>', 'only events that led to this state').choices([...DELIVERY_STATES, 'rejected']),
    )
    .option('--type <type>', 'only events of this type: delivered, route.down; several with commas', typesOption)
    .option('--recipient <address>', 'only events about this recipient')
    .option('--flow <id>', 'only events of messages of this recovery flow')
    .option(
      '--route <name>',
      `only attempts over this route, and its ups and downs; without --since, among the newest ${ROUTE_REACH.toLocaleString('en')} events`,
    )
    .option('--since <when>', 'from this moment on: 15m, 24h, 2026-01-05T10:00:00Z', sinceOption(io.clock))
    .option('--until <when>', 'up to this moment', sinceOption(io.clock))
    .option(
      '-n, --lines <count>',
      `how many events at most to begin with (default: ${DEFAULT_LINES}; all with --since or from standard input)`,
      countOption(0, 100_000),
    )
    .action(async (_options: unknown, command: Command) => {
      await tail(io, command.optsWithGlobals<TailOptions>());
    });
}

function append(file: string, before: readonly string[] = []): readonly string[] {
  return [...before, file];
}

function typesOption(text: string): readonly EventType[] {
  return text.split(',').map((word) => {
    const type = EVENT_TYPES.find((one) => one === word || one === `message.${word}`);
    if (type !== undefined) return type;
    throw new InvalidArgumentError(`Give some of: ${EVENT_TYPES.join(', ')}.`);
  });
}

async function tail(io: CliIo, options: TailOptions): Promise<void> {
  if (options.follow === true && options.until !== undefined)
    throw usage('-f goes on without an end: leave out --until');
  try {
    await show(io, options);
  } catch (error) {
    // The end that the user wanted may break off a request.
    if (!(io.signal.aborted && error instanceof RemoteError)) throw error;
  }
}

async function show(io: CliIo, options: TailOptions): Promise<void> {
  const source = await openSource(io, options);
  if (source === null) return;
  try {
    const print = createPrinter(io, options);
    const filter = filterOf(options);
    for await (const page of source.past(filter, limitOf(options))) {
      await print(page);
      if (io.signal.aborted) return;
    }
    if (options.follow !== true) return;
    for await (const page of source.coming?.(filter) ?? []) await print(page);
  } finally {
    await source.close();
  }
}

/** Null: the user wanted an end while it was waited for. */
async function openSource(io: CliIo, options: TailOptions): Promise<TailSource | null> {
  if (options.file !== undefined) {
    for (const [name, given] of [
      ['--data', options.data],
      ['--url', options.url],
    ] as const) {
      if (given !== undefined) throw usage(`--file and ${name} are two places to read from: give one`);
    }
    return fileTail(io, options.file);
  }
  const remote = await openRemote(io, options);
  if (remote !== null) return remoteTail(io, remote.client, remote.reads.history);
  const folder = databaseFolder(io, options);
  if (options.follow === true && !(await whenDatabaseIsThere(io, folder))) return null;
  return databaseTail(io, await openHistory(folder));
}

function limitOf({ lines, since, file }: TailOptions): number | null {
  if (lines !== undefined) return lines;
  return since === undefined && file?.at(-1) !== '-' ? DEFAULT_LINES : null;
}

function filterOf({ tag, state, type, recipient, flow, route, since, until }: TailOptions): TailFilter {
  return {
    ...(tag === undefined ? {} : { tag }),
    ...(state === undefined ? {} : { state }),
    ...(type === undefined ? {} : { types: type }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(flow === undefined ? {} : { flow }),
    ...(route === undefined ? {} : { route }),
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(until === undefined ? {} : { untilMs: until }),
  };
}

type Print = (events: readonly ToldEvent[]) => Promise<void>;

function createPrinter(io: CliIo, options: TailOptions): Print {
  if (wantsJson(io, options)) {
    return (events) => io.stdout.write(events.map((event) => `${jsonLine(event)}\n`).join(''));
  }
  const paint = createPaint(io.stdout.hasColor);
  let day = '';
  return (events) => {
    const lines = events.map((event) => {
      const newDay = dayOf(event.timestamp);
      const heading = newDay === day ? '' : `${paint.dim(`${clean(newDay)}, times in UTC`)}\n`;
      day = newDay;
      return `${heading}${humanLine(event, paint)}\n`;
    });
    return io.stdout.write(lines.join(''));
  };
}

function humanLine(event: ToldEvent, paint: Paint): string {
  const { message, delivery } = event.data;
  const word = eventWord(event);
  return [
    paint.dim(clean(timeOfDay(event.timestamp))),
    paintState(paint, word, word.padEnd(11)),
    paint.bold(clean(delivery?.recipient ?? '-').padEnd(RECIPIENT_WIDTH)),
    clean(message?.tag ?? '-').padEnd(TAG_WIDTH),
    clean(describeEvent(event)),
    paint.dim(clean(message?.id ?? '')),
  ]
    .join('  ')
    .trimEnd();
}

function usage(message: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.tail' });
}
