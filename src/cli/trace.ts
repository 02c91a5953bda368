/**
 * `trace`: everything about one message, in time order, with the verdict first.
 *
 * A key is a message id, a Message-ID, a recipient or a flow; several messages come newest first. With `--flow` they come as one
 * story, oldest first, with the time between the steps (`flow.ts`). Refused messages are found by their id and by recipient. It reads the database file, beside
 * a running relay or when none runs, or asks a relay elsewhere.
 */
import type { Command } from 'commander';
import { type MessageId, parseMessageId } from '../core/ids.ts';
import { wireAttempt } from '../api/wire/attempt.ts';
import { type MessageFacts, wireMessage } from '../api/wire/message.ts';
import { RelayError } from '../core/errors.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean } from '../api/story/clean.ts';
import { type DatabaseOptions, databaseOptions } from './database.ts';
import { type FlowReport, flowReport } from '../api/story/flow.ts';
import { readStory } from '../api/story/read-story.ts';
import { flowText } from './flow-text.ts';
import { dateTime, size, span } from '../api/story/format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { momentsOf, type Story } from '../api/story/moments.ts';
import { verdictWithCommand } from '../api/story/verdict.ts';
import { wireVerdict } from '../api/wire/trace.ts';
import { createPaint, type Paint, paintState } from './paint.ts';
import { type HistoryReads, openReads } from './reads.ts';
import { placeOptions } from './settings.ts';
import { countOption } from './time-option.ts';

interface TraceOptions extends GlobalOptions, DatabaseOptions {
  readonly flow?: string;
  /** null: as many as suit what is traced. */
  readonly limit: number | null;
}

const DEFAULT_LIMIT = 5;
/** A flow is a story that wants to be whole. */
const DEFAULT_FLOW_LIMIT = 100;

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
      const by = key === undefined ? 'flow' : 'any';
      const isDefault = command.getOptionValueSource('limit') === 'default';
      await trace(io, wanted, by, isDefault ? { ...options, limit: null } : options);
    });
}

async function trace(io: CliIo, key: string, by: 'any' | 'flow', options: TraceOptions): Promise<void> {
  const reads = await openReads(io, options);
  const place = placeOptions(options);
  try {
    const { history } = reads;
    const isFlow = by === 'flow';
    const limit = options.limit ?? (isFlow ? DEFAULT_FLOW_LIMIT : DEFAULT_LIMIT);
    const ids = await findMessages(history, key, by, limit);
    const stories: Story[] = [];
    for (const id of ids) {
      const story = await readStory(history, id, { now: io.clock.now(), key, placeOptions: place });
      if (story !== null) stories.push(story);
    }
    if (stories.length === 0) {
      io.exit.code = 1;
      await io.stderr.write(
        `Nothing is known of ${clean(key)}: no message, accepted or refused, in the log of ${reads.place}.\n` +
          `If the app says that it sent one, it went elsewhere: check the SMTP host and port of the app, and watch \`leadpush-relay tail -f${place}\`.\n`,
      );
      return;
    }
    if (isFlow) await printFlow(io, options, key, stories.toReversed(), history);
    else for (const [index, story] of stories.entries()) await print(io, options, story, index);
    if (!wantsJson(io, options) && ids.length === limit) {
      await io.stdout.write(
        `\nThe newest ${limit === 1 ? 'one is' : `${limit} are`} shown; there may be more: --limit ${limit * 4}\n`,
      );
    }
  } finally {
    await reads.close();
  }
}

/** One story of all its messages; with `--json` a line for each message as always, each with what became of the flow. */
async function printFlow(
  io: CliIo,
  options: TraceOptions,
  flow: string,
  stories: readonly Story[],
  history: HistoryReads,
): Promise<void> {
  const report = await flowReport(flow, stories, async (text) => {
    const id = parseMessageId(text);
    return id === null ? null : history.message(id);
  });
  if (wantsJson(io, options)) {
    for (const [index, story] of stories.entries()) await print(io, options, story, index, report);
    return;
  }
  await io.stdout.write(flowText(report, stories, createPaint(io.stdout.hasColor)));
}

/** Ids of messages that `key` names, accepted and refused, newest first. */
async function findMessages(
  history: HistoryReads,
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

async function print(io: CliIo, options: TraceOptions, story: Story, index: number, flow?: FlowReport): Promise<void> {
  if (wantsJson(io, options)) {
    await io.stdout.write(
      `${jsonLine({
        id: story.id,
        verdict: verdictWithCommand(story.verdict),
        ...wireVerdict(story.verdict),
        message: story.message === null ? null : wireMessage(story.message),
        attempts: story.attempts.map(wireAttempt),
        events: story.events,
        route_events: story.routeEvents,
        ...(flow === undefined ? {} : { flow_report: flow }),
      })}\n`,
    );
    return;
  }
  const paint = createPaint(io.stdout.hasColor);
  const lines = [
    ...(index === 0 ? [] : ['']),
    paint.bold(
      paintState(paint, story.verdict.cameBack ? 'bounced' : story.verdict.state, verdictWithCommand(story.verdict)),
    ),
    '',
    ...(story.message === null ? refusedFacts(story) : facts(story.message)).map((line) => `  ${line}`),
    '',
    ...timeline(story, paint).map((line) => `  ${line}`),
  ];
  await io.stdout.write(`${lines.join('\n')}\n`);
}

function facts(message: MessageFacts): readonly string[] {
  const { client } = message;
  const helo = client.helo === '' ? '' : `, helo ${client.helo}`;
  const metadata = Object.entries(message.metadata).map(([name, value]) => `${name}=${value}`);
  return rows([
    ['message', `${message.id}  ${message.headerMessageId}`],
    ['tag', message.tag === null ? 'none' : `${message.tag} (from ${message.tagSource}), ${message.priority}`],
    ['flow', message.flow],
    ['collapse', message.collapseKey === null ? null : `key ${message.collapseKey}`],
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
    ...linkRows(message),
    ...message.warnings.map((warning): Row => ['warning', warning]),
    ...message.deliveries.map(
      (delivery): Row => [
        'recipient',
        `${delivery.recipient}  ${delivery.state}${delivery.bounce === null ? '' : ` (${delivery.bounce.class})`}, rule ${delivery.rule} (${delivery.ruleReason}) via ${delivery.via.join(', ')}`,
      ],
    ),
  ]);
}

/** Verdict, hosts, and what was found: each finding is one sentence for the app's developer. */
function linkRows({ links }: MessageFacts): readonly Row[] {
  if (links === null) return [];
  const hosts = links.links.map(({ scheme, host, count }) => {
    const where = host === null ? `${scheme}:` : scheme === '' ? host : `${scheme}://${host}`;
    return count > 1 ? `${where} (${count} times)` : where;
  });
  const more = links.omitted.links > 0 ? `, and ${links.omitted.links} more` : '';
  return [
    ['links', `${links.verdict}: ${hosts.length === 0 ? 'none' : [...new Set(hosts)].join(', ')}${more}`],
    ...links.findings.map(({ code, severity, text }): Row => ['', `${severity} ${code}: ${text}`]),
  ];
}

const DEADLINE_SOURCES: Readonly<Record<MessageFacts['deadlineSource'], string>> = {
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

function timeline(story: Story, paint: Paint): readonly string[] {
  const moments = momentsOf(story);
  const start = Date.parse(story.events[0]?.timestamp ?? '');
  const several = new Set(moments.flatMap(({ recipient }) => recipient ?? [])).size > 1;
  return moments.map(({ at, word, text, recipient }) => {
    const who = several && recipient !== null ? `${paint.bold(clean(recipient))}  ` : '';
    const since = Date.parse(at) - start;
    const time = `${at.slice(11, 23)}  ${`${since < 0 ? '-' : '+'}${span(Math.abs(since))}`.padStart(12)}`;
    return `${paint.dim(time)}  ${paintState(paint, word, word.padEnd(11))} ${who}${text}`.trimEnd();
  });
}
