/**
 * `credential hash`: turns a password into the hash that the config holds. `credential token`: makes a token for the HTTP API, and
 * its hash.
 *
 * The password comes from standard input, never from the command line, where other users of the machine could read it. On
 * a terminal it is asked for twice and not shown. It is printed nowhere, in no error either. A token is made here, of 256 random
 * bits, and shown once, or written to a file that only its owner may read.
 */
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { hashPassword } from '../config/scrypt-hash.ts';
import { TOKEN_SCOPES, type TokenScope } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import { fileTrouble } from '../core/file-trouble.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import type { CliIo, GlobalOptions } from './io.ts';
import { shellWord } from '../core/shell-word.ts';

const MAX_PASSWORD_BYTES = 1024;

/** Adds `credential` to `program`. */
export function credentialCommand(program: Command, io: CliIo): void {
  const credential = program.command('credential').description('passwords of apps, tokens of the HTTP API');
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
  credential
    .command('token')
    .description('make a random token for the HTTP API, and its hash for http.tokens; it is shown this once')
    .option('--name <name>', 'who it is for', nameOption, 'ops')
    .option('--scopes <list>', `what it may do, with commas: ${TOKEN_SCOPES.join(', ')}`, scopesOption, ['read'])
    .option('--out <file>', 'write the token into this new file instead, readable by its owner alone')
    .action(async (_options: unknown, command: Command) => {
      await makeToken(io, command.optsWithGlobals<TokenOptions>());
    });
}

interface TokenOptions extends GlobalOptions {
  readonly name: string;
  readonly scopes: readonly TokenScope[];
  readonly out?: string;
}

/** Tells a token of a relay from other secrets, for people and for scanners of repositories. */
const TOKEN_PREFIX = 'lpr_';
const TOKEN_BYTES = 32;

async function makeToken(io: CliIo, { name, scopes, out, json }: TokenOptions): Promise<void> {
  const token = `${TOKEN_PREFIX}${randomBytes(TOKEN_BYTES).toString('base64url')}`;
  const hash = `sha256:${createHash('sha256').update(token).digest('hex')}`;
  if (out !== undefined) await writeNew(out, `${token}\n`);
  if (json === true) {
    await io.stdout.write(`${jsonLine({ ...(out === undefined ? { token } : { file: out }), name, hash, scopes })}\n`);
    return;
  }
  const place = out === undefined ? `The token, which is shown only now:\n\n  ${token}` : `The token is in ${out}.`;
  const use = out === undefined ? 'LEADPUSH_TOKEN or --token-file' : `--token-file ${shellWord(out)}`;
  await io.stdout.write(
    `${place}\n\nIn http.tokens of the relay's config, which needs the hash alone:\n\n` +
      `  - { name: ${name}, hash: "${hash}", scopes: [${scopes.join(', ')}] }\n\n` +
      `Commands take it from ${use}, with --url.\n`,
  );
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw usage(`cannot write the token to ${file}: ${fileTrouble(error)}`, 'Name a new file; nothing was made.');
  }
}

function nameOption(text: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(text)) return text;
  throw new InvalidArgumentError('Give 1 to 64 letters, digits, dots, hyphens or underscores.');
}

function scopesOption(text: string): readonly TokenScope[] {
  const scopes = text.split(',').map((word) => TOKEN_SCOPES.find((scope) => scope === word.trim()));
  const known = scopes.filter((scope) => scope !== undefined);
  if (known.length === scopes.length) return [...new Set(known)];
  throw new InvalidArgumentError(`Give some of: ${TOKEN_SCOPES.join(', ')}.`);
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
