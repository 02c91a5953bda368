/**
 * `send`: one test mail, over SMTP, the way an app sends.
 *
 * It talks to the relay's own listener, so it goes through login, policy, signing and queue like every other mail. Without
 * options it is a password-reset mail to a reserved domain (RFC 2606). The certificate of a loopback listener is
 * not verified: the relay makes that one itself. With `--url` the same mail goes over the HTTP API of a relay elsewhere.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { SendMailOptions } from 'nodemailer';
import { isLoopback } from '../config/network.ts';
import type { ListenerConfig } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import { parseMessageId } from '../core/ids.ts';
import { parseFromValue } from '../mail/from.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean } from '../api/story/clean.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import type { RemoteClient } from './remote/client.ts';
import { openRemote, type Remote } from './remote/open.ts';
import { sendRemotely } from './remote/send-remote.ts';
import { sendError } from './send-error.ts';
import { loadSettings, placeOptions } from './settings.ts';

interface SendOptions extends GlobalOptions {
  readonly host?: string;
  readonly port?: number;
  readonly to?: readonly string[];
  readonly from: string;
  readonly subject: string;
  readonly text: string;
  readonly tag: string;
  readonly ttl?: string;
  readonly header?: readonly Header[];
  readonly username?: string;
  readonly password?: string;
  readonly tls: TlsWish;
}

interface Header {
  readonly key: string;
  readonly value: string;
}

const TLS_WISHES = ['auto', 'none', 'starttls', 'implicit'] as const;
type TlsWish = (typeof TLS_WISHES)[number];

const DEFAULTS = {
  to: 'ann@example.net',
  from: 'Example Accounts <no-reply@example.com>',
  subject: 'Reset your password',
  text:
    'Hello Ann,\n\nsomeone asked to reset the password of your account. If that was you, go on here within 15 minutes:\n\n' +
    'https://accounts.example.com/reset?token=demonstration\n\nIf it was not you, there is nothing to do.\n',
  tag: 'password-reset',
} as const;

const TIMEOUT_MS = 15_000;

/** Adds `send` to `program`. */
export function sendCommand(program: Command, io: CliIo): void {
  program
    .command('send')
    .description("send a test mail through the relay's own SMTP listener")
    .option('--to <address>', `recipient; may be repeated (default: ${DEFAULTS.to})`, collectMailbox)
    .option('--from <address>', 'From header; its address is the envelope sender too', mailboxOption, DEFAULTS.from)
    .option('--subject <text>', 'subject', DEFAULTS.subject)
    .option('--text <text>', 'body', DEFAULTS.text)
    .option('--tag <tag>', 'X-Leadpush-Tag; an empty one sends no such header', DEFAULTS.tag)
    .option('--ttl <span>', 'X-Leadpush-TTL: how long the link lives: 15m')
    .option('--header <name: value>', 'a further header; may be repeated', collectHeader)
    .option('--username <name>', 'log in with this credential')
    .option('--password <password>', 'its password; better in LEADPUSH_PASSWORD or typed, where ps does not show it')
    .addOption(
      new Option('--tls <mode>', 'auto: STARTTLS; on loopback only where it is offered')
        .choices(TLS_WISHES)
        .default('auto'),
    )
    .option('--host <host>', 'another host than the first listener of the config')
    .option('--port <port>', 'another port than the first listener of the config', portOption)
    .action(async (_options: unknown, command: Command) => {
      await send(io, command.optsWithGlobals<SendOptions>());
    });
}

async function send(io: CliIo, options: SendOptions): Promise<void> {
  const remote = await openRemoteUnlessHost(io, options);
  if (remote !== null) {
    await sendThere(io, remote.client, options);
    return;
  }
  const target = targetOf(io, options);
  const place = placeOptions(options);
  // Loaded here, so that the other commands need not wait for it.
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    host: target.host,
    port: target.port,
    secure: target.tls === 'implicit',
    // A password, or a reset link, does not cross a network in clear because STARTTLS was not offered.
    requireTLS: target.tls === 'starttls' || (target.tls === 'auto' && !isLoopback(target.host)),
    ignoreTLS: target.tls === 'none',
    tls: { rejectUnauthorized: !isLoopback(target.host) },
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    ...(await loginOf(io, options)),
  });
  let response: string;
  let rejected: readonly string[];
  try {
    const info = await transport.sendMail(mailOf(options));
    ({ response, rejected } = info);
  } catch (error) {
    throw sendError(error, {
      host: target.host,
      port: target.port,
      place,
      start: namesConfig(io, options) ? `leadpush-relay serve${place}` : 'npm start',
    });
  } finally {
    transport.close();
  }
  if (rejected.length > 0) io.exit.code = 1;
  const id = parseMessageId(/queued as (\S+)/.exec(response)?.[1] ?? '');
  if (wantsJson(io, options)) {
    await io.stdout.write(`${jsonLine({ id, response: clean(response), rejected })}\n`);
    return;
  }
  const next = id === null ? `leadpush-relay tail${place}` : `leadpush-relay trace ${id}${place}`;
  await io.stdout.write(
    `${target.host}:${target.port} answered: ${clean(response)}\n` +
      rejected.map((address) => `refused: ${clean(address)}\n`).join('') +
      `See what became of it: ${next}\n`,
  );
}

function mailOf(options: SendOptions): SendMailOptions {
  return {
    from: options.from,
    to: [...(options.to ?? [DEFAULTS.to])],
    subject: options.subject,
    text: options.text,
    headers: [
      ...(options.tag === '' ? [] : [{ key: 'X-Leadpush-Tag', value: options.tag }]),
      ...(options.ttl === undefined ? [] : [{ key: 'X-Leadpush-TTL', value: options.ttl }]),
      ...(options.header ?? []),
    ],
  };
}

/** Null: over SMTP. Throws a `RelayError` (`usage`) when both ways are named. */
async function openRemoteUnlessHost(io: CliIo, options: SendOptions): Promise<Remote | null> {
  const isSmtp = [options.host, options.port, options.username].some((given) => given !== undefined);
  if (isSmtp && options.url === undefined) return null;
  if (isSmtp) {
    throw new RelayError('--url sends over HTTP: leave out --host, --port and --username', {
      code: 'usage',
      op: 'cli.send',
      hint: 'The token says who sends: http.tokens[].credential in the config of that relay.',
    });
  }
  return openRemote(io, options);
}

/** Built as for SMTP, and handed over as it is: what the relay does with it is the same. */
async function sendThere(io: CliIo, client: RemoteClient, options: SendOptions): Promise<void> {
  const { createTransport } = await import('nodemailer');
  const builder = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });
  const { envelope, message } = await builder.sendMail(mailOf(options));
  const content = Buffer.isBuffer(message) ? message : Buffer.alloc(0);
  const from = envelope.from === false ? '' : envelope.from;
  const { id } = await sendRemotely(client, { from, to: envelope.to, content });
  if (wantsJson(io, options)) {
    await io.stdout.write(`${jsonLine({ id, response: `queued as ${id}`, rejected: [] })}\n`);
    return;
  }
  await io.stdout.write(
    `${client.target.text} answered: queued as ${clean(id)}\nSee what became of it: leadpush-relay trace ${clean(id)}${placeOptions(options)}\n`,
  );
}

interface Target {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsWish;
}

/** Where to send: as the options say, and for what they leave out, as the config's first listener says. */
function targetOf(io: CliIo, options: SendOptions): Target {
  if (options.host !== undefined && options.port !== undefined) {
    return { host: options.host, port: options.port, tls: options.tls };
  }
  const { smtp, file } = loadSettings(io, options);
  const listener = smtp.listeners[0];
  const port = options.port ?? listener?.port;
  if (listener === undefined || port === undefined || port === 0) {
    throw new RelayError(`${file} names no SMTP port to send to`, {
      code: 'usage',
      op: 'cli.send',
      hint: 'Give --host and --port as the relay printed them at its start.',
    });
  }
  return {
    host: options.host ?? reachable(listener.host),
    port,
    tls: options.tls === 'auto' ? tlsOf(listener) : options.tls,
  };
}

/** An address that stands for all of them is reached over loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

function tlsOf(listener: ListenerConfig): TlsWish {
  switch (listener.tls) {
    case 'none':
      return 'none';
    case 'implicit':
      return 'implicit';
    case 'starttls-required':
      return 'starttls';
    case 'starttls':
      return 'auto';
  }
}

/** Whether the config is another than the package's own. */
function namesConfig(io: CliIo, { config }: GlobalOptions): boolean {
  return (config ?? io.env['LEADPUSH_CONFIG'] ?? '') !== '';
}

async function loginOf(io: CliIo, options: SendOptions): Promise<{ auth?: { user: string; pass: string } }> {
  if (options.username === undefined) return {};
  const given = options.password ?? io.env['LEADPUSH_PASSWORD'];
  const pass = given ?? (io.stdin.isTty ? await io.stdin.readSecret('Password: ') : undefined);
  if (pass === undefined) {
    throw new RelayError('--username was given without a password', {
      code: 'usage',
      op: 'cli.send',
      hint: 'Set LEADPUSH_PASSWORD, or give --password.',
    });
  }
  return { auth: { user: options.username, pass } };
}

function collectMailbox(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, mailboxOption(value)];
}

/** One address, with or without a name: what builds the message would make one of nearly anything (`a b@example.net` is Mr a). */
function mailboxOption(text: string): string {
  const parsed = parseFromValue(text);
  if (parsed.kind === 'from') return text;
  const reason = parsed.reason.replace('From address: ', '').replace('From header field', 'text');
  throw new InvalidArgumentError(`Give one address, ann@example.net or "Ann <ann@example.net>": ${reason}.`);
}

function collectHeader(text: string, before: readonly Header[] = []): readonly Header[] {
  const match = /^([!-9;-~]+):\s*(.*)$/.exec(text);
  const [, key, value] = match ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('Give it as "Name: value".');
  return [...before, { key, value }];
}

function portOption(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('Give a port from 1 to 65535.');
  return port;
}
