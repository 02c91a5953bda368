/**
 * `trace`: everything about one message, in time order, with the verdict first.
 *
 * A key is a message id, a Message-ID, a recipient or a flow; several messages come newest first. Refused messages are
 * found by their id and by recipient. It reads the database file, so it works beside a running relay and when none runs.
 */
import type { Command } from 'commander';
import type { RelayEvent } from '../core/event.ts';
import { type MessageId, parseMessageId } from '../core/ids.ts';
import { isoTime } from '../core/time.ts';
import { wireAttempt, wireMessage } from '../api/wire.ts';
import { RelayError } from '../core/errors.ts';
import type { AttemptView, HistoryStore, MessageView } from '../store/store.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean } from './clean.ts';
import { type DatabaseOptions, databaseOptions, openDatabase } from './database.ts';
import { describeAttempt, describeEvent, eventWord } from './describe-event.ts';
import { dateTime, size, span } from './format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { createPaint, type Paint, paintState } from './paint.ts';
import { placeOptions } from './settings.ts';
import { countOption } from './time-option.ts';
import { type Verdict, verdictOn, verdictOnRejection } from './verdict.ts';

interface TraceOptions extends GlobalOptions, DatabaseOptions {
  readonly flow?: string;
  readonly limit: number;
}

/** A message as the log knows it. `message` is null for one that was refused. */
interface Story {
  readonly id: MessageId;
  readonly message: MessageView | null;
  readonly attempts: readonly AttemptView[];
  readonly events: readonly RelayEvent[];
  readonly verdict: Verdict;
}

const DEFAULT_LIMIT = 5;

/** Adds `trace` to `program`. */
export function traceCommand(program: Command, io: CliIo): void {
  databaseOptions(program.command('trace'))
    .description('show what happened to a message and why: its whole story, the verdict first')
    .argument('[key]', 'message id (msg_...), Message-ID, recipient, or flow')
    .option('--flow <id>', 'all messages of this recovery flow')
    .option('--limit <count>', 'how many messages at most, newest first', countOption(1, 1000), DEFAULT_LIMIT)
    .action(async (key: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<TraceOptions>();
      const wanted = key ?? options.flow;
      if (wanted === undefined || wanted === '' || (key !== undefined && options.flow !== undefined)) {
        throw new RelayError('name one thing to trace', {
          code: 'usage',
          op: 'cli.trace',
          hint: 'leadpush-relay trace msg_... | <id@host> | ann@example.net, or leadpush-relay trace --flow ID',
        });
      }
      await trace(io, wanted, key === undefined ? 'flow' : 'any', options);
    });
}

async function trace(io: CliIo, key: string, by: 'any' | 'flow', options: TraceOptions): Promise<void> {
  const database = await openDatabase(io, options);
  const place = placeOptions(options);
  try {
    const ids = await findMessages(database.history, key, by, options.limit);
    const stories: Story[] = [];
    for (const id of ids) {
      const story = await readStory(io, database.history, id, { key, placeOptions: place });
      if (story !== null) stories.push(story);
    }
    if (stories.length === 0) {
      io.exit.code = 1;
      await io.stderr.write(
        `Nothing is known of ${clean(key)}: no message, accepted or refused, in the log of ${database.folder}.\n` +
          `If the app says that it sent one, it went elsewhere: check the SMTP host and port of the app, and watch \`leadpush-relay tail -f${place}\`.\n`,
      );
      return;
    }
    for (const [index, story] of stories.entries()) await print(io, options, story, index);
    if (!wantsJson(io, options) && ids.length === options.limit) {
      await io.stdout.write(
        `\nThe newest ${options.limit === 1 ? 'one is' : `${options.limit} are`} shown; there may be more: --limit ${options.limit * 4}\n`,
      );
    }
  } finally {
    await database.close();
  }
}

/** Ids of messages that `key` names, accepted and refused, newest first. */
async function findMessages(
  history: HistoryStore,
  key: string,
  by: 'any' | 'flow',
  limit: number,
): Promise<readonly MessageId[]> {
  const id = by === 'any' ? parseMessageId(key) : null;
  if (id !== null) return [id];
  const accepted = await history.find(key, by, limit);
  const refused = by === 'any' ? await history.rejectedFor(key, limit) : [];
  // Ids begin with the time of their making.
  const all = [...new Set([...accepted, ...refused])].sort((a, b) => (a < b ? 1 : -1));
  return all.slice(0, limit);
}

async function readStory(
  io: CliIo,
  history: HistoryStore,
  id: MessageId,
  { key, placeOptions }: { readonly key: string; readonly placeOptions: string },
): Promise<Story | null> {
  const events = await history.eventsOf(id);
  const message = await history.message(id);
  if (message === null) {
    return events.length === 0 ? null : { id, message, attempts: [], events, verdict: verdictOnRejection(events) };
  }
  const attempts = await history.attempts(id);
  const named = message.deliveries.filter(({ recipient }) => recipient.toLowerCase() === key.toLowerCase());
  const verdict = verdictOn({
    message,
    deliveries: named.length > 0 ? named : message.deliveries,
    attempts,
    events,
    now: io.clock.now(),
    placeOptions,
  });
  return { id, message, attempts, events, verdict };
}

async function print(io: CliIo, options: TraceOptions, story: Story, index: number): Promise<void> {
  if (wantsJson(io, options)) {
    await io.stdout.write(
      `${jsonLine({
        id: story.id,
        verdict: story.verdict.text,
        message: story.message === null ? null : wireMessage(story.message),
        attempts: story.attempts.map(wireAttempt),
        events: story.events,
      })}\n`,
    );
    return;
  }
  const paint = createPaint(io.stdout.hasColor);
  const lines = [
    ...(index === 0 ? [] : ['']),
    paint.bold(paintState(paint, story.verdict.state, story.verdict.text)),
    '',
    ...(story.message === null ? refusedFacts(story) : facts(story.message)).map((line) => `  ${line}`),
    '',
    ...timeline(story, paint).map((line) => `  ${line}`),
  ];
  await io.stdout.write(`${lines.join('\n')}\n`);
}

function facts(message: MessageView): readonly string[] {
  const { client } = message;
  const helo = client.helo === '' ? '' : `, helo ${client.helo}`;
  const metadata = Object.entries(message.metadata).map(([name, value]) => `${name}=${value}`);
  return rows([
    ['message', `${message.id}  ${message.headerMessageId}`],
    ['tag', message.tag === null ? 'none' : `${message.tag} (from ${message.tagSource}), ${message.priority}`],
    ['flow', message.flow],
    ['metadata', metadata.length === 0 ? null : metadata.join(', ')],
    ['from', `${message.headerFrom}, envelope ${message.mailFrom === '' ? '<>' : message.mailFrom}`],
    [
      'client',
      `${message.credential ?? 'no login'}, ${client.address}${helo}${client.tls === null ? '' : `, ${client.tls}`}`,
    ],
    ['signed', message.signatures.length === 0 ? 'no' : message.signatures.join(', ')],
    [
      'deadline',
      `${dateTime(message.deadline)}, ${span(message.deadline - message.acceptedAt)} (${DEADLINE_SOURCES[message.deadlineSource]})`,
    ],
    ['size', `${size(message.size)}, content ${message.contentKept ? 'still kept' : 'gone'}`],
    ...message.warnings.map((warning): Row => ['warning', warning]),
    ...message.deliveries.map(
      (delivery): Row => [
        'recipient',
        `${delivery.recipient}  ${delivery.state}, rule ${delivery.rule} (${delivery.ruleReason}) via ${delivery.via.join(', ')}`,
      ],
    ),
  ]);
}

const DEADLINE_SOURCES: Readonly<Record<MessageView['deadlineSource'], string>> = {
  header: 'X-Leadpush-TTL',
  deliverby: 'BY= of MAIL',
  tag: 'ttl of the tag',
  'give-up': 'retry.give_up_after',
};

function refusedFacts(story: Story): readonly string[] {
  const message = story.events[0]?.data.message;
  const recipients = story.events.flatMap(({ data }) => (data.delivery === undefined ? [] : [data.delivery.recipient]));
  return rows([
    ['message', `${story.id}  ${message?.message_id ?? ''}`],
    ['tag', message?.tag ?? null],
    ['rule', message?.rule ?? null],
    ['client', message?.credential ?? 'no login'],
    ['recipient', recipients.length === 0 ? null : recipients.join(', ')],
  ]);
}

type Row = readonly [name: string, value: string | null];

function rows(pairs: readonly Row[]): readonly string[] {
  return pairs.flatMap(([name, value]) => (value === null ? [] : [`${name.padEnd(10)}${clean(value)}`]));
}

interface Moment {
  readonly at: string;
  readonly word: string;
  readonly text: string;
  readonly recipient: string | null;
}

function timeline(story: Story, paint: Paint): readonly string[] {
  const moments = [...story.events.map(momentOfEvent), ...attemptsWithoutEvent(story)].sort((a, b) =>
    a.at < b.at ? -1 : a.at > b.at ? 1 : 0,
  );
  const start = Date.parse(moments[0]?.at ?? '');
  const several = new Set(moments.flatMap(({ recipient }) => recipient ?? [])).size > 1;
  return moments.map(({ at, word, text, recipient }) => {
    const who = several && recipient !== null ? `${paint.bold(clean(recipient))}  ` : '';
    const time = `${at.slice(11, 23)}  ${`+${span(Date.parse(at) - start)}`.padStart(12)}`;
    return `${paint.dim(time)}  ${paintState(paint, word, word.padEnd(11))} ${who}${text}`.trimEnd();
  });
}

function momentOfEvent(event: RelayEvent): Moment {
  const { attempt, delivery } = event.data;
  const number = attempt === undefined || delivery === undefined ? '' : `attempt ${attempt.number} over `;
  return {
    at: event.timestamp,
    word: eventWord(event),
    text: `${number}${describeEvent(event)}${attempt === undefined ? '' : timings(attempt.timings_ms)}`,
    recipient: delivery?.recipient ?? null,
  };
}

/** Attempts that changed no state, such as one that a crash interrupted, have no event of their own. */
function attemptsWithoutEvent(story: Story): readonly Moment[] {
  const told = new Set(story.events.map(({ data }) => `${data.delivery?.id ?? ''} ${data.attempt?.number ?? ''}`));
  return story.attempts
    .filter((attempt) => !told.has(`${attempt.deliveryId} ${attempt.number}`))
    .map((attempt) => ({
      at: isoTime(attempt.startedAt),
      word: attempt.outcome,
      text: `attempt ${attempt.number} over ${describeAttempt(attempt)}${timings(attempt.timings_ms)}`,
      recipient: story.message?.deliveries.find(({ id }) => id === attempt.deliveryId)?.recipient ?? null,
    }));
}

function timings(milliseconds: Readonly<Record<string, number>>): string {
  const parts = Object.entries(milliseconds).map(([phase, ms]) => `${clean(phase)} ${span(ms)}`);
  return parts.length === 0 ? '' : ` [${parts.join(', ')}]`;
}
