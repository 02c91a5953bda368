/**
 * `credential hash`: turns a password into the hash that the config holds.
 *
 * The password comes from standard input, never from the command line, where other users of the machine could read it. On
 * a terminal it is asked for twice and not shown. It is printed nowhere, in no error either.
 */
import type { Command } from 'commander';
import { hashPassword } from '../config/scrypt-hash.ts';
import { RelayError } from '../core/errors.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import type { CliIo, GlobalOptions } from './io.ts';

const MAX_PASSWORD_BYTES = 1024;

/** Adds `credential` to `program`. */
export function credentialCommand(program: Command, io: CliIo): void {
  const credential = program.command('credential').description('passwords of the apps that send through the relay');
  credential
    .command('hash')
    .description('read a password from standard input and print its hash for credentials[].password')
    .action(async (_options: unknown, command: Command) => {
      const password = io.stdin.isTty ? await ask(io) : withoutLineEnd(await io.stdin.readAll(MAX_PASSWORD_BYTES + 2));
      checkPassword(password);
      const hash = await hashPassword(password);
      const { json } = command.optsWithGlobals<GlobalOptions>();
      await io.stdout.write(json === true ? `${jsonLine({ hash })}\n` : `${hash}\n`);
    });
}

async function ask(io: CliIo): Promise<string> {
  const first = await io.stdin.readSecret('Password: ');
  const second = await io.stdin.readSecret('Once more: ');
  if (first !== second) throw usage('the two passwords differ', 'Run the command again.');
  return first;
}

/** One line end at the end is the shell's (`echo`), not the password's. */
function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '');
}

function checkPassword(password: string): void {
  if (password === '')
    throw usage('the password is empty', 'Pipe it in: printf %s "$PASSWORD" | leadpush-relay credential hash');
  if (/[\r\n]/.test(password)) throw usage('the password has a line end inside', 'Give one line.');
  if (/[\0\ufffd]/.test(password)) {
    throw usage('the password is not UTF-8 text', 'Apps send it as UTF-8 (RFC 4616); give it in that encoding.');
  }
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) {
    throw usage(`the password is longer than ${MAX_PASSWORD_BYTES} octets`, 'Choose a shorter one.');
  }
}

function usage(message: string, hint: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.credential', hint });
}
