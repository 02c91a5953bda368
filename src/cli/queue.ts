/**
 * `queue`: what waits and why; puts deliveries back to work or takes them off.
 *
 * `retry` and `cancel` write to the database beside a running relay, which notices and acts on it; without one, the change
 * takes effect at the next start. With `--url` they ask the relay there. A delivery that is being sent just now is left alone.
 */
import type { Command } from 'commander';
import type { Plain } from '../api/wire/json.ts';
import { wireQueueRow } from '../api/wire/queue.ts';
import { didYouMean } from '../config/near-match.ts';
import { RelayError } from '../core/errors.ts';
import { type DeliveryId, type MessageId, parseDeliveryId, parseMessageId } from '../core/ids.ts';
import type { QueueRow } from '../store/history.ts';
import type { OperatorResult } from '../store/store.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { type DatabaseOptions, databaseOptions } from './database.ts';
import { span } from '../api/story/format.ts';
import { table } from './format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { openOperatorAt } from './operator.ts';
import { openReads } from './reads.ts';
import { countOption } from './time-option.ts';

interface ListOptions extends GlobalOptions, DatabaseOptions {
  readonly limit: number;
}

type ChangeOptions = GlobalOptions & DatabaseOptions;

/** Adds `queue` to `program`. */
export function queueCommand(program: Command, io: CliIo): void {
  const queue = program.command('queue').description('show what waits, put it back to work, take it off');
  databaseOptions(queue.command('list', { isDefault: true }))
    .description('show undelivered and quarantined deliveries, most urgent first')
    .option('--limit <count>', 'how many at most', countOption(1, 100_000), 100)
    // A word that is no command arrives here, because `list` is what `queue` alone means.
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => {
      refuseExtraWords(queue, command);
      await list(io, command.optsWithGlobals<ListOptions>());
    });
  databaseOptions(queue.command('retry'))
    .description('make deliveries due now; failed and canceled ones too, while their content is kept')
    .argument('<id...>', 'message ids (msg_...) or delivery ids (dlv_...)')
    .action(async (ids: readonly string[], _options: unknown, command: Command) => {
      await change(io, ids, 'retry', command.optsWithGlobals<ChangeOptions>());
    });
  databaseOptions(queue.command('cancel'))
    .description('never send these deliveries')
    .argument('<id...>', 'message ids (msg_...) or delivery ids (dlv_...)')
    .action(async (ids: readonly string[], _options: unknown, command: Command) => {
      await change(io, ids, 'cancel', command.optsWithGlobals<ChangeOptions>());
    });
}

/** Throws a `RelayError` (`usage`) when `list` was given words: a command that is not known, or too much. */
function refuseExtraWords(queue: Command, list: Command): void {
  const [word] = list.args;
  if (word === undefined) return;
  const known = queue.commands.map((command) => command.name());
  const wasNamed = queue.args[0] === list.name();
  throw new RelayError(wasNamed ? 'too many arguments for queue list' : `unknown command ${JSON.stringify(word)}`, {
    code: 'usage',
    op: 'cli.queue',
    hint: wasNamed ? '' : didYouMean(word, known, `queue knows: ${known.join(', ')}.`),
  });
}

async function list(io: CliIo, options: ListOptions): Promise<void> {
  const { history, close } = await openReads(io, options);
  try {
    const rows = await history.queue(options.limit);
    if (wantsJson(io, options)) {
      await io.stdout.write(rows.map((row) => `${jsonLine(wireQueueRow(row))}\n`).join(''));
    } else await io.stdout.write(human(io, rows, options.limit));
  } finally {
    await close();
  }
}

function human(io: CliIo, rows: readonly Plain<QueueRow>[], limit: number): string {
  if (rows.length === 0) return 'Nothing waits.\n';
  const now = io.clock.now();
  const columns = [
    { title: 'delivery' },
    { title: 'recipient' },
    { title: 'tag' },
    { title: 'state' },
    { title: 'route' },
    { title: 'age', align: 'right' as const },
    { title: 'next', align: 'right' as const },
    { title: 'left', align: 'right' as const },
    { title: 'tries', align: 'right' as const },
    { title: 'last answer' },
  ];
  const cells = rows.map((row) => [
    row.deliveryId,
    row.recipient,
    row.tag ?? '-',
    row.state,
    row.route,
    span(now - row.acceptedAt),
    row.dueAt === null ? '-' : row.dueAt <= now ? 'now' : span(row.dueAt - now),
    span(row.deadline - now),
    String(row.attempts),
    row.lastResponse ?? '',
  ]);
  const more =
    rows.length === limit
      ? `The first ${limit === 1 ? 'one is' : `${limit} are`} shown; there may be more: --limit ${limit * 10}\n`
      : '';
  return table(columns, cells, io.stdout.columns) + more;
}

type Target = MessageId | DeliveryId;

async function change(
  io: CliIo,
  ids: readonly string[],
  verb: 'retry' | 'cancel',
  options: ChangeOptions,
): Promise<void> {
  const targets = ids.map(parseTarget);
  const operator = await openOperatorAt(io, options);
  try {
    for (const target of targets) {
      const result = verb === 'retry' ? await operator.retryNow(target) : await operator.cancel(target);
      await report(io, options, verb, target, result);
    }
  } finally {
    await operator.close();
  }
}

function parseTarget(text: string): Target {
  const target = parseMessageId(text) ?? parseDeliveryId(text);
  if (target !== null) return target;
  throw new RelayError(`${JSON.stringify(text)} is not a message id (msg_...) or delivery id (dlv_...)`, {
    code: 'usage',
    op: 'cli.queue',
    hint: 'leadpush-relay queue and leadpush-relay trace show the ids.',
  });
}

async function report(
  io: CliIo,
  options: ChangeOptions,
  verb: 'retry' | 'cancel',
  target: Target,
  result: Plain<OperatorResult>,
): Promise<void> {
  if (result.changed.length === 0) io.exit.code = 1;
  if (wantsJson(io, options)) {
    await io.stdout.write(`${jsonLine({ target, ...result })}\n`);
    return;
  }
  const done = verb === 'retry' ? 'is due now' : 'is canceled';
  const lines = [
    ...result.changed.map((id) => `${id} ${done}`),
    ...result.unchanged.map(({ id, state, reason }) => `${id} is left as it is (${state}): ${reason}`),
  ];
  if (lines.length === 0) lines.push(`${target}: there is no such message or delivery`);
  await io.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
