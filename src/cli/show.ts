/**
 * `show`: a message that a sandbox route captured, octet by octet on standard output.
 *
 * For developers who look for the link in the mail that their app sent. The content of mail that went, or may go, to a real
 * next hop is never shown, not even where it is still kept.
 */
import type { Command } from 'commander';
import type { AttemptFacts } from '../api/wire/attempt.ts';
import type { MessageFacts } from '../api/wire/message.ts';
import { RelayError } from '../core/errors.ts';
import { type MessageId, parseMessageId } from '../core/ids.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { type DatabaseOptions, databaseOptions } from './database.ts';
import type { CliIo } from './io.ts';
import { type HistoryReads, openReads } from './reads.ts';
import { placeOptions } from './settings.ts';
import { isCapture } from '../api/story/verdict.ts';

/** Adds `show` to `program`. */
export function showCommand(program: Command, io: CliIo): void {
  databaseOptions(program.command('show'))
    .description('print a message that a sandbox route captured, as it is; --json: with its content in base64')
    .argument('<id>', 'message id (msg_...)')
    .action(async (text: string, _options: unknown, command: Command) => {
      const id = parseMessageId(text);
      if (id === null) {
        throw new RelayError(`${JSON.stringify(text)} is not a message id (msg_...)`, {
          code: 'usage',
          op: 'cli.show',
          hint: 'leadpush-relay trace with the recipient shows the ids of messages.',
        });
      }
      await show(io, id, command.optsWithGlobals<DatabaseOptions>());
    });
}

async function show(io: CliIo, id: MessageId, options: DatabaseOptions): Promise<void> {
  const { history, place, close } = await openReads(io, options);
  try {
    const found = await read(history, id, place, placeOptions(options));
    if (found.kind === 'refused') {
      io.exit.code = 1;
      await io.stderr.write(`${found.why}\n`);
      return;
    }
    const { content } = found;
    await io.stdout.write(
      options.json === true ? `${jsonLine({ id, content: Buffer.from(content).toString('base64') })}\n` : content,
    );
  } finally {
    await close();
  }
}

type Found =
  | { readonly kind: 'content'; readonly content: Uint8Array }
  | { readonly kind: 'refused'; readonly why: string };

async function read(history: HistoryReads, id: MessageId, where: string, place: string): Promise<Found> {
  const message = await history.message(id);
  if (message === null) {
    const wasRefused = (await history.eventsOf(id)).length > 0;
    return refused(
      wasRefused
        ? `${id} was refused at submission; nothing of it was kept. Why: leadpush-relay trace ${id}${place}`
        : `There is no message ${id} in ${where}.`,
    );
  }
  if (!isCaptured(message, await history.attempts(id))) {
    const states = [...new Set(message.deliveries.map(({ state }) => state))].join(', ');
    return refused(
      `${id} is not shown (${states}): only mail that a sandbox route captured is shown, the content of other mail never. ` +
        `What became of it: leadpush-relay trace ${id}${place}`,
    );
  }
  const content = message.contentKept ? await history.content(id) : null;
  if (content !== null) return { kind: 'content', content };
  return refused(`The content of ${id} is gone: retention.sandbox in the config says how long it is kept.`);
}

function refused(why: string): Found {
  return { kind: 'refused', why };
}

/** Whether a sandbox route took the message for each of its recipients. */
function isCaptured(message: MessageFacts, attempts: readonly AttemptFacts[]): boolean {
  return message.deliveries.every(({ id, state }) => {
    const last = attempts.findLast((attempt) => attempt.deliveryId === id);
    return state === 'delivered' && last !== undefined && isCapture(last);
  });
}
