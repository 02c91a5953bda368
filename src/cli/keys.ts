/**
 * `keys`: the content keys, under which the keys of messages are wrapped; `list` shows them, `rotate` changes to a new one.
 *
 * Both work on the data folder, beside a running relay or without one. No key is ever printed, but for a new one that is to
 * go into the config. What a rotation that was broken off has left is cleared up by the next call (`store/sqlite/open-keys.ts`).
 */
import type { Command } from 'commander';
import { isoTime } from '../core/time.ts';
import { newGivenKey } from '../store/sqlite/key-ring.ts';
import type { KeyState, Rotation } from '../store/sqlite/open-keys.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { type DatabaseOptions, databaseOptions, openKeys } from './database.ts';
import { dateTime } from '../api/story/format.ts';
import { table } from './format.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';

type KeysOptions = GlobalOptions & DatabaseOptions;

/** Adds `keys` to `program`. */
export function keysCommand(program: Command, io: CliIo): void {
  const keys = program
    .command('keys')
    .description('show the keys that content is encrypted under, change to a new one');
  databaseOptions(keys.command('list', { isDefault: true }))
    .description('show each key, since when it is there and how many messages need it')
    .action(async (_options: unknown, command: Command) => {
      await list(io, command.optsWithGlobals<KeysOptions>());
    });
  databaseOptions(keys.command('rotate'))
    .description('make a new key, move every message to it and forget the old one; a running relay goes on')
    .action(async (_options: unknown, command: Command) => {
      await rotate(io, command.optsWithGlobals<KeysOptions>());
    });
}

async function list(io: CliIo, options: KeysOptions): Promise<void> {
  const { keys } = openKeys(io, options);
  let states: readonly KeyState[];
  try {
    states = keys.list();
  } finally {
    keys.stop();
  }
  if (states.some(({ missing }) => missing)) io.exit.code = 1;
  if (wantsJson(io, options)) {
    await io.stdout.write(states.map((state) => `${jsonLine(wireKey(state))}\n`).join(''));
    return;
  }
  const columns = [{ title: 'key' }, { title: 'since' }, { title: 'messages', align: 'right' as const }, { title: '' }];
  const cells = states.map((state) => [
    state.id,
    state.madeAt === null ? '-' : dateTime(state.madeAt),
    String(state.messages),
    wordsFor(state),
  ]);
  await io.stdout.write(table(columns, cells, io.stdout.columns));
}

function wordsFor({ current, missing }: KeyState): string {
  if (missing) return 'missing: its messages cannot be read; put it back from a backup';
  return current ? 'encrypts' : '';
}

function wireKey({ id, madeAt, messages, current, missing }: KeyState): Readonly<Record<string, unknown>> {
  return { id, made_at: madeAt === null ? null : isoTime(madeAt), messages, current, missing };
}

async function rotate(io: CliIo, options: KeysOptions): Promise<void> {
  const { keys, source } = openKeys(io, options);
  try {
    if (source.kind === 'file') {
      await tell(io, options, await keys.rotate(io.clock, io.signal));
      return;
    }
    const isSpread = keys.list().some(({ current, messages }) => !current && messages > 0);
    if (isSpread || source.keys.length > 1) {
      const rotation = await keys.moveToFirst(io.clock, io.signal);
      await tell(io, options, rotation);
      if (rotation.retired.length > 0) {
        await io.stderr.write(
          'Take the keys that nothing uses out of `content_key` in the config, and restart the relay.\n',
        );
      }
      return;
    }
    await tellNewKey(io, options);
  } finally {
    keys.stop();
  }
}

async function tell(io: CliIo, options: KeysOptions, rotation: Rotation): Promise<void> {
  const { to, resumed, messages, retired } = rotation;
  if (wantsJson(io, options)) {
    await io.stdout.write(`${jsonLine({ key: to, resumed, messages, retired })}\n`);
    return;
  }
  await io.stdout.write(
    (resumed ? 'An earlier rotation was broken off: this one has finished its work.\n' : '') +
      `Content is encrypted under key ${to}; ${messages} messages were moved to it.\n` +
      (retired.length === 0 ? '' : `Nothing uses ${retired.join(', ')} any more.\n`),
  );
}

/** The relay does not write the config: it says what to put there. */
async function tellNewKey(io: CliIo, options: KeysOptions): Promise<void> {
  const made = newGivenKey();
  if (wantsJson(io, options)) {
    await io.stdout.write(`${jsonLine({ new_key: made.text, id: made.id })}\n`);
    return;
  }
  await io.stdout.write(
    'The key is from the config (`content_key`), which this command does not write. Here is a new one:\n\n' +
      `  ${made.text}\n\n` +
      'Keep it where the other is kept. Name it first in `content_key`, the other after it, and restart the relay; then run\n' +
      'this command again: it moves every message to the new key, and says when the old one can go.\n',
  );
}
