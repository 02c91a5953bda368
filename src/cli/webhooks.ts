/**
 * `webhooks`: how the endpoints of the config fare, what was sent to them, sending it again.
 *
 * It reads and writes the database file, beside a running relay or when none runs: the relay notices within half a second.
 * `test` sends one event of its own kind from this process, to see that address, certificate and secret are right.
 */
import type { Command } from 'commander';
import type { WireWebhook, WireWebhookDelivery } from '../api/wire/webhook.ts';
import { didYouMean } from '../config/near-match.ts';
import type { WebhookConfig } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import { createIds } from '../core/ids.ts';
import { isoTime } from '../core/time.ts';
import type { OutboxState, ReplaySelection } from '../store/outbox.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { VERSION } from '../version.ts';
import { createExchange } from '../webhooks/exchange.ts';
import { clean } from '../api/story/clean.ts';
import { type DatabaseOptions, databaseOptions } from './database.ts';
import { dateTime, span } from '../api/story/format.ts';
import { table } from './format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { loadSettings } from './settings.ts';
import { countOption, sinceOption } from './time-option.ts';
import { openDesk } from './webhook-desk.ts';

type PlaceOptions = GlobalOptions & DatabaseOptions;

interface DeliveriesOptions extends PlaceOptions {
  readonly limit: number;
  readonly state?: keyof typeof STATES;
}

interface ReplayOptions extends PlaceOptions {
  readonly event?: readonly string[];
  readonly since?: number;
  readonly until?: number;
  readonly dead?: boolean;
}

/** Words of the command and the API for the states of the store. */
const STATES = { pending: 'waiting', delivered: 'delivered', dead: 'dead' } as const satisfies Record<
  string,
  OutboxState
>;

/** Adds `webhooks` to `program`. */
export function webhooksCommand(program: Command, io: CliIo): void {
  const webhooks = program.command('webhooks').description('show webhook endpoints and what they got, send it again');
  databaseOptions(webhooks.command('list', { isDefault: true }))
    .description('show the endpoints and how they fare')
    // A word that is no command arrives here, because `list` is what `webhooks` alone means.
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => {
      refuseExtraWords(webhooks, command);
      await list(io, command.optsWithGlobals<PlaceOptions>());
    });
  databaseOptions(webhooks.command('deliveries'))
    .description('show the events that were taken up for an endpoint, newest first, with every try')
    .argument('<name>', 'the endpoint')
    .option('--state <state>', `only these: ${Object.keys(STATES).join(', ')}`, stateOption)
    .option('--limit <count>', 'how many at most', countOption(1, 10_000), 20)
    .action(async (name: string, _options: unknown, command: Command) => {
      await deliveries(io, name, command.optsWithGlobals<DeliveriesOptions>());
    });
  databaseOptions(webhooks.command('replay'))
    .description('send events again, under the ids that they had; without an option those that were given up')
    .argument('<name>', 'the endpoint')
    .option('--event <id...>', 'these events (evt_...)')
    .option('--since <when>', 'the events from this moment on: 15m, 24h, 2026-01-05T10:00:00Z', sinceOption(io.clock))
    .option('--until <when>', 'with --since: up to this moment (default: now)', sinceOption(io.clock))
    .option('--dead', 'the events that were given up')
    .action(async (name: string, _options: unknown, command: Command) => {
      await replay(io, name, command.optsWithGlobals<ReplayOptions>());
    });
  databaseOptions(webhooks.command('enable'))
    .description('send to an endpoint again that answered 410')
    .argument('<name>', 'the endpoint')
    .action(async (name: string, _options: unknown, command: Command) => {
      await enable(io, name, command.optsWithGlobals<PlaceOptions>());
    });
  webhooks
    .command('test')
    .description('send a signed test event (type webhook.test) and show the answer')
    .argument('<name>', 'the endpoint')
    .action(async (name: string, _options: unknown, command: Command) => {
      await sendTest(io, name, command.optsWithGlobals<GlobalOptions>());
    });
}

function refuseExtraWords(webhooks: Command, listCommand: Command): void {
  const [word] = listCommand.args;
  if (word === undefined) return;
  const known = webhooks.commands.map((command) => command.name());
  const wasNamed = webhooks.args[0] === listCommand.name();
  const message = wasNamed ? 'too many arguments for webhooks list' : `unknown command ${JSON.stringify(word)}`;
  throw usage(message, wasNamed ? '' : didYouMean(word, known, `webhooks knows: ${known.join(', ')}.`));
}

function stateOption(text: string): string {
  if (Object.hasOwn(STATES, text)) return text;
  throw usage(`${JSON.stringify(text)} is no state`, `Give one of ${Object.keys(STATES).join(', ')}.`);
}

async function list(io: CliIo, options: PlaceOptions): Promise<void> {
  const endpoints = await (await openDesk(io, options)).list();
  if (wantsJson(io, options)) {
    await io.stdout.write(endpoints.map((endpoint) => `${jsonLine(endpoint)}\n`).join(''));
    return;
  }
  if (endpoints.length === 0) {
    await io.stdout.write('There are no webhooks: `webhooks` in the config names them.\n');
    return;
  }
  const now = io.clock.now();
  const columns = [
    { title: 'name' },
    { title: 'state' },
    { title: 'waiting', align: 'right' as const },
    { title: 'oldest', align: 'right' as const },
    { title: 'given up', align: 'right' as const },
    { title: 'last taken' },
    { title: 'next try', align: 'right' as const },
    { title: 'where' },
  ];
  const cells = endpoints.map((endpoint) => [
    endpoint.name,
    stateOf(endpoint),
    String(endpoint.pending),
    age(endpoint.oldest_pending_at, now),
    String(endpoint.dead),
    endpoint.last_delivered_at === null ? '-' : dateTime(Date.parse(endpoint.last_delivered_at)),
    endpoint.next_attempt_at === null ? '-' : `in ${span(Date.parse(endpoint.next_attempt_at) - now)}`,
    endpoint.url ?? '-',
  ]);
  const why = endpoints.flatMap(({ name, disabled_reason }) =>
    disabled_reason === null ? [] : [clean(`${name} is disabled: ${disabled_reason}`)],
  );
  await io.stdout.write([table(columns, cells, io.stdout.columns), ...why.map((line) => `${line}\n`)].join(''));
}

function stateOf({ state, failing_since }: WireWebhook): string {
  if (state === 'disabled') return state;
  return failing_since === null ? 'well' : `failing since ${dateTime(Date.parse(failing_since))}`;
}

function age(since: string | null, now: number): string {
  return since === null ? '-' : span(now - Date.parse(since));
}

async function deliveries(io: CliIo, name: string, options: DeliveriesOptions): Promise<void> {
  const { state, limit } = options;
  const filter = { ...(state === undefined ? {} : { state: STATES[state] }), limit };
  const found = await (await openDesk(io, options)).deliveries(name, filter);
  if (found === null) throw unknown(name);
  if (wantsJson(io, options)) {
    await io.stdout.write(found.map((delivery) => `${jsonLine(delivery)}\n`).join(''));
    return;
  }
  await io.stdout.write(found.length === 0 ? 'Nothing was sent to it yet.\n' : describe(io, found));
}

function describe(io: CliIo, found: readonly WireWebhookDelivery[]): string {
  const columns = [
    { title: 'event' },
    { title: 'type' },
    { title: 'state' },
    { title: 'try', align: 'right' as const },
    { title: 'at' },
    { title: 'status', align: 'right' as const },
    { title: 'ms', align: 'right' as const },
    { title: 'answer' },
  ];
  const rows = found.flatMap(({ event_id, type, state, attempts }) => {
    const first = [event_id, type, state];
    if (attempts.length === 0) return [[...first, '-', '-', '-', '-', '']];
    return attempts.map((attempt, index) => [
      ...(index === 0 ? first : ['', '', '']),
      String(attempt.number),
      dateTime(Date.parse(attempt.started_at)),
      attempt.status === null ? '-' : String(attempt.status),
      String(attempt.latency_ms),
      attempt.response,
    ]);
  });
  return table(columns, rows, io.stdout.columns);
}

async function replay(io: CliIo, name: string, options: ReplayOptions): Promise<void> {
  const result = await (await openDesk(io, options)).replay(name, selectionOf(io, options));
  if (result === null) throw unknown(name);
  if (result.unknown.length > 0) io.exit.code = 1;
  if (wantsJson(io, options)) {
    await io.stdout.write(`${jsonLine({ webhook: name, ...result })}\n`);
    return;
  }
  const lines = [
    `${result.queued} ${result.queued === 1 ? 'event waits' : 'events wait'} to be sent to ${name}`,
    ...result.unknown.map((id) => `${clean(id)} is not in the log, or ${name} does not want it`),
  ];
  await io.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

function selectionOf(io: CliIo, { event, since, until, dead }: ReplayOptions): ReplaySelection {
  const given = [event, since, dead].filter((one) => one !== undefined);
  if (given.length > 1) throw usage('--event, --since and --dead exclude each other', '');
  if (until !== undefined && since === undefined) throw usage('--until goes with --since', '');
  if (event !== undefined) return { kind: 'events', ids: event };
  return since === undefined ? { kind: 'dead' } : { kind: 'range', since, until: until ?? io.clock.now() + 1 };
}

async function enable(io: CliIo, name: string, options: PlaceOptions): Promise<void> {
  if (!(await (await openDesk(io, options)).enable(name))) throw unknown(name);
  await io.stdout.write(
    wantsJson(io, options)
      ? `${jsonLine({ webhook: name, state: 'active' })}\n`
      : `${name} is sent to again, from where it stopped\n`,
  );
}

async function sendTest(io: CliIo, name: string, options: GlobalOptions): Promise<void> {
  const { webhooks } = loadSettings(io, options);
  const config = webhooks.find((one) => one.name === name);
  if (config === undefined) throw unknown(name, webhooks);
  const exchange = createExchange(config, {
    clock: io.clock,
    userAgent: `Leadpush-Relay/${VERSION}`,
    connections: 1,
  });
  const id = createIds(io.clock).event();
  const data = { event_id: id, reason: 'sent by `leadpush-relay webhooks test`' };
  const body = JSON.stringify({ type: 'webhook.test', timestamp: isoTime(io.clock.now()), data });
  const { kind, status, text, ms } = await exchange.post(id, body, io.signal);
  exchange.close();
  if (kind !== 'ok') io.exit.code = 1;
  if (wantsJson(io, options)) {
    const outcome = kind === 'ok' ? 'delivered' : 'failed';
    await io.stdout.write(
      `${jsonLine({ webhook: name, event_id: id, outcome, status, latency_ms: ms, response: text })}\n`,
    );
    return;
  }
  const verdict = kind === 'ok' ? 'took the test event' : 'did not take the test event';
  const answer = [status === null ? null : String(status), text === '' ? null : clean(text)].filter(
    (one) => one !== null,
  );
  await io.stdout.write(`${name} ${verdict} in ${span(ms)}${answer.length === 0 ? '' : `: ${answer.join(' ')}`}\n`);
}

function unknown(name: string, among: readonly WebhookConfig[] = []): RelayError {
  const names = among.map((one) => one.name);
  return new RelayError(`there is no webhook ${JSON.stringify(name)}`, {
    code: 'usage',
    op: 'cli.webhooks',
    hint: didYouMean(name, names, 'The config names them; a running relay takes up new ones at SIGHUP.'),
  });
}

function usage(message: string, hint: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.webhooks', hint });
}
