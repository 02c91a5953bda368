/**
 * Which relay elsewhere a command speaks to, and with which token: `--url`, `--token` or `--token-file`, else the environment
 * (`LEADPUSH_URL`, `LEADPUSH_TOKEN`).
 *
 * What is on the command line comes before the environment: `--config` or `--data` means the files of this machine, whatever
 * `LEADPUSH_URL` says. A token is never repeated in a text.
 */
import { readFileSync } from 'node:fs';
import { isLoopback } from '../../config/network.ts';
import { RelayError } from '../../core/errors.ts';
import { fileTrouble } from '../../core/file-trouble.ts';
import { clean } from '../../api/story/clean.ts';
import type { CliIo, GlobalOptions } from '../io.ts';

export interface RemoteTarget {
  /** Ends in a slash; no user, password, query or fragment. */
  readonly base: URL;
  /** `base` for people. */
  readonly text: string;
  readonly token: string | null;
  /** For people: where the token is from. */
  readonly tokenSource: string;
}

export interface PlaceOptions extends GlobalOptions {
  readonly data?: string;
}

/** What the header takes, with room for `Bearer `. */
const TOKEN = /^[\x21-\x7e]{1,500}$/;

/** The relay that `options` and the environment name; null: the files of this machine. Throws a `RelayError` (`usage`). */
export function remoteTarget(io: CliIo, options: PlaceOptions): RemoteTarget | null {
  const { url, config, data } = options;
  const local = config === undefined ? (data === undefined ? null : '--data') : '--config';
  if (url !== undefined && local !== null) {
    throw usage(
      `--url and ${local} are two relays: give one`,
      `--url asks a relay elsewhere over HTTP; ${local} reads the files of this machine.`,
    );
  }
  const named = url ?? (local === null ? nonEmpty(io.env['LEADPUSH_URL']) : undefined);
  if (named === undefined) {
    if (options.token === undefined && options.tokenFile === undefined) return null;
    throw usage(
      'a token was given without --url',
      'Only a relay elsewhere asks for one: --url https://relay.example.com',
    );
  }
  const base = parseBase(named, url === undefined ? 'LEADPUSH_URL' : '--url');
  return { base, text: base.href.replace(/\/$/, ''), ...tokenOf(io, options) };
}

/** Whether what goes there can be read on the way. */
export function travelsInClear({ base }: RemoteTarget): boolean {
  return base.protocol === 'http:' && !isLoopback(base.hostname.replace(/^\[|\]$/g, ''));
}

function parseBase(text: string, source: string): URL {
  const example = 'Write it as https://relay.example.com, or http://127.0.0.1:8025.';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw usage(`${source} is not the address of a relay: ${JSON.stringify(clean(text))}`, example);
  }
  if (url.username !== '' || url.password !== '') {
    throw usage(`${source} has a user or a password in it`, `The relay knows tokens: --token-file FILE. ${example}`);
  }
  if (url.search !== '' || url.hash !== '') throw usage(`${source} has a query or a fragment in it`, example);
  // Next steps repeat it, and shells and people read it.
  const path = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
  url.pathname = `${path}/`;
  return url;
}

function tokenOf(io: CliIo, options: GlobalOptions): Pick<RemoteTarget, 'token' | 'tokenSource'> {
  const { token, tokenFile } = options;
  if (token !== undefined && tokenFile !== undefined) throw usage('--token and --token-file: give one', '');
  if (token !== undefined) return checked(token, '--token');
  if (tokenFile !== undefined) return checked(readToken(tokenFile), `--token-file ${clean(tokenFile)}`);
  const fromEnv = nonEmpty(io.env['LEADPUSH_TOKEN']);
  return fromEnv === undefined ? { token: null, tokenSource: '' } : checked(fromEnv.trim(), 'LEADPUSH_TOKEN');
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw usage(`cannot read --token-file ${clean(file)}: ${fileTrouble(error)}`, 'It holds the token on one line.');
  }
}

function checked(token: string, tokenSource: string): Pick<RemoteTarget, 'token' | 'tokenSource'> {
  const isHash = token.startsWith('sha256:');
  if (TOKEN.test(token) && !isHash) return { token, tokenSource };
  throw usage(
    `${tokenSource} is not a token`,
    isHash
      ? 'That is the hash, which the config of the relay has; the token is what it was made from.'
      : 'A token is one word of printable ASCII, up to 500 characters.',
  );
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text;
}

function usage(message: string, hint: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.remote', hint });
}
