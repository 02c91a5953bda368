/**
 * `suppressions`: which recipients get no mail, and why; adds and removes them.
 *
 * It reads and writes the database file, beside a running relay or when none runs: the next message that is accepted sees the
 * change. What was accepted before is not touched. Whether a tag's mail heeds the list is `tags.*.suppression`.
 */
import type { Command } from 'commander';
import { type SuppressionFacts, wireSuppression } from '../api/wire/suppression.ts';
import { didYouMean } from '../config/near-match.ts';
import { type EnvelopeAddress, parseEnvelopeAddress } from '../core/address.ts';
import { RelayError } from '../core/errors.ts';
import type { Suppression } from '../store/store.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean, cut } from '../api/story/clean.ts';
import { type DatabaseOptions, databaseOptions } from './database.ts';
import { dateTime, span } from '../api/story/format.ts';
import { table } from './format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { openOperatorAt, type Operator } from './operator.ts';
import { openReads } from './reads.ts';
import { countOption, spanOption } from './time-option.ts';

interface ListOptions extends GlobalOptions, DatabaseOptions {
  readonly limit: number;
}

interface AddOptions extends GlobalOptions, DatabaseOptions {
  readonly for?: number;
  readonly reason?: string;
}

type RemoveOptions = GlobalOptions & DatabaseOptions;

const SECOND_MS = 1000;
const MAX_FOR_MS = 3650 * 86_400_000;
const MAX_DETAIL = 200;
const PAGE = 500;

/** Adds `suppressions` to `program`. */
export function suppressionsCommand(program: Command, io: CliIo): void {
  const suppressions = program
    .command('suppressions')
    .description('show which recipients get no mail and why, add one, take one off');
  databaseOptions(suppressions.command('list', { isDefault: true }))
    .description('show the list, in the order of addresses')
    .option('--limit <count>', 'how many at most', countOption(1, 1_000_000), 1000)
    // A word that is no command arrives here, because `list` is what `suppressions` alone means.
    .allowExcessArguments()
    .action(async (_options: unknown, command: Command) => {
      refuseExtraWords(suppressions, command);
      await list(io, command.optsWithGlobals<ListOptions>());
    });
  databaseOptions(suppressions.command('add'))
    .description('send nothing more to this recipient')
    .argument('<address>', 'the recipient')
    .option(
      '--for <duration>',
      'for how long, such as 12h or 30d (default: until it is removed)',
      spanOption(SECOND_MS, MAX_FOR_MS),
    )
    .option('--reason <text>', 'why, for those who look later')
    .action(async (text: string, _options: unknown, command: Command) => {
      await add(io, addressOf(text), command.optsWithGlobals<AddOptions>());
    });
  databaseOptions(suppressions.command('remove'))
    .description('let mail through to these recipients again')
    .argument('<address...>', 'the recipients')
    .action(async (texts: readonly string[], _options: unknown, command: Command) => {
      await remove(io, texts.map(addressOf), command.optsWithGlobals<RemoveOptions>());
    });
}

/** Throws a `RelayError` (`usage`) when `list` was given words: a command that is not known, or too much. */
function refuseExtraWords(suppressions: Command, listCommand: Command): void {
  const [word] = listCommand.args;
  if (word === undefined) return;
  const known = suppressions.commands.map((command) => command.name());
  const wasNamed = suppressions.args[0] === listCommand.name();
  const message = wasNamed ? 'too many arguments for suppressions list' : `unknown command ${JSON.stringify(word)}`;
  throw usage(message, wasNamed ? '' : didYouMean(word, known, `suppressions knows: ${known.join(', ')}.`));
}

function addressOf(text: string): EnvelopeAddress {
  const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
  if (parsed.kind === 'address') return parsed.address;
  throw usage(`${JSON.stringify(text)} is not a recipient: ${parsed.reason}`, 'Write it as ann@example.net.');
}

async function list(io: CliIo, options: ListOptions): Promise<void> {
  const entries = await readList(io, options);
  if (wantsJson(io, options)) {
    await io.stdout.write(entries.map((entry) => `${jsonLine(wireSuppression(entry))}\n`).join(''));
    return;
  }
  await io.stdout.write(human(io, entries, options.limit));
}

async function readList(io: CliIo, options: ListOptions): Promise<readonly SuppressionFacts[]> {
  const { suppressions, close } = await openReads(io, options);
  try {
    const entries: SuppressionFacts[] = [];
    let after: string | null = null;
    while (entries.length < options.limit) {
      const wanted = Math.min(PAGE, options.limit - entries.length);
      const page = await suppressions.list(io.clock.now(), wanted, after);
      entries.push(...page);
      after = page.at(-1)?.recipient ?? null;
      if (page.length < wanted) break;
    }
    return entries;
  } finally {
    await close();
  }
}

function human(io: CliIo, entries: readonly SuppressionFacts[], limit: number): string {
  if (entries.length === 0) return 'Nobody is suppressed.\n';
  const now = io.clock.now();
  const columns = [
    { title: 'recipient' },
    { title: 'because of' },
    { title: 'since' },
    { title: 'left', align: 'right' as const },
    { title: 'message' },
    { title: 'why' },
  ];
  const cells = entries.map((entry) => [
    entry.recipient,
    entry.reason,
    dateTime(entry.createdAt),
    entry.expiresAt === null ? 'until removed' : span(entry.expiresAt - now),
    entry.messageId ?? '-',
    entry.detail,
  ]);
  const more =
    entries.length === limit ? `The first ${limit} are shown; there may be more: --limit ${limit * 10}\n` : '';
  return table(columns, cells, io.stdout.columns) + more;
}

async function add(io: CliIo, recipient: EnvelopeAddress, options: AddOptions): Promise<void> {
  const now = io.clock.now();
  const entry: Suppression = {
    recipient,
    reason: 'manual',
    detail: cut(clean(options.reason ?? ''), MAX_DETAIL),
    messageId: null,
    createdAt: now,
    expiresAt: options.for === undefined ? null : now + options.for,
  };
  const kept = await change(io, options, (operator) => operator.suppress(entry));
  const until = kept.expiresAt === null ? 'until it is removed' : `until ${dateTime(kept.expiresAt)}`;
  await io.stdout.write(
    wantsJson(io, options)
      ? `${jsonLine(wireSuppression(kept))}\n`
      : `${clean(recipient)} gets no mail ${until}, but for tags with \`suppression: bypass\`\n`,
  );
}

async function remove(io: CliIo, recipients: readonly EnvelopeAddress[], options: RemoveOptions): Promise<void> {
  await change(io, options, async (operator) => {
    for (const recipient of recipients) {
      const removed = await operator.unsuppress(recipient);
      if (!removed) io.exit.code = 1;
      const human = `${clean(recipient)} ${removed ? 'gets mail again' : 'is not on the list'}\n`;
      await io.stdout.write(wantsJson(io, options) ? `${jsonLine({ recipient, removed })}\n` : human);
    }
  });
}

async function change<T>(io: CliIo, options: DatabaseOptions, use: (operator: Operator) => Promise<T>): Promise<T> {
  const operator = await openOperatorAt(io, options);
  try {
    return await use(operator);
  } finally {
    await operator.close();
  }
}

function usage(message: string, hint: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.suppressions', hint });
}
