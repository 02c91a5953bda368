/** A listener on a free port of loopback in front of an intake that records what it is given, and clients of it. */
import { hashPassword, parseScryptHash } from '../../src/config/scrypt-hash.ts';
import type { CredentialConfig, ListenerTls } from '../../src/config/types.ts';
import { createIds } from '../../src/core/ids.ts';
import { type Refusal, refuse } from '../../src/core/refusal.ts';
import { type Clock, systemClock } from '../../src/core/time.ts';
import { ensureSelfSigned, type TlsMaterial } from '../../src/intake/certificate.ts';
import { type CredentialCheck, createCredentialCheck } from '../../src/intake/credentials.ts';
import { createNetworks } from '../../src/intake/networks.ts';
import { hasBadLineEnds } from '../../src/intake/smtp-content.ts';
import { type ConnectionLimits, createConnectionLimits } from '../../src/intake/smtp-limits.ts';
import { createSmtpListener, type SmtpListener } from '../../src/intake/smtp-listener.ts';
import type { SmtpSettings } from '../../src/intake/smtp-settings.ts';
import type { Accepted, Intake, Submission } from '../../src/intake/submission.ts';
import type { Log, LogFields } from '../../src/telemetry/log.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { connectSmtp, type SmtpClient, type SmtpClientOptions } from './smtp-client.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: LogFields;
  readonly text: string;
}

export interface Rig {
  readonly listener: SmtpListener;
  readonly port: number;
  readonly settings: { -readonly [K in keyof SmtpSettings]: SmtpSettings[K] };
  readonly submissions: Submission[];
  readonly lines: LogLine[];
  readonly metrics: string[];
  readonly limits: ConnectionLimits;
}

export interface RigOptions {
  readonly tls?: ListenerTls;
  readonly settings?: Partial<SmtpSettings>;
  readonly credentials?: readonly CredentialConfig[];
  readonly check?: CredentialCheck;
  readonly clock?: Clock;
  readonly limits?: ConnectionLimits;
  readonly intake?: Partial<Intake>;
  readonly host?: string;
}

/** A log that keeps its lines. */
export function createMemoryLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: LogLine['level']) => (fields: LogFields, text: string) => void lines.push({ level, fields, text });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** A credential with a cheap hash of `password`. */
export async function credentialFor(
  username: string,
  password: string,
  more: Partial<CredentialConfig> = {},
): Promise<CredentialConfig> {
  const parsed = parseScryptHash(await hashPassword(password));
  if (parsed.kind !== 'hash') throw new Error(parsed.reason);
  return {
    username,
    password: parsed.hash,
    from: [],
    networks: [],
    tag: null,
    headers: { allow: 'all', aliases: new Set() },
    rate: null,
    ...more,
  };
}

let material: Promise<TlsMaterial> | null = null;

/** One self-signed certificate for all tests of a file. */
export function testCertificate(): Promise<TlsMaterial> {
  material ??= makeCertificate();
  return material;
}

async function makeCertificate(): Promise<TlsMaterial> {
  const dir = await mkdtemp(join(tmpdir(), 'relay-tls-'));
  const made = await ensureSelfSigned(dir, 'relay.test', systemClock);
  await rm(dir, { recursive: true });
  return made;
}

/** Starts a listener; `host` is trusted unless `settings.trusted` says otherwise. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const { tls = 'starttls', clock = systemClock, credentials = [], host = '127.0.0.1' } = options;
  const submissions: Submission[] = [];
  const metrics: string[] = [];
  const log = createMemoryLog();
  const ids = createIds(clock);
  const settings = {
    hostname: 'relay.test',
    maxMessageBytes: 1_000_000,
    maxRecipients: 100,
    maxConnections: 1000,
    maxConnectionsPerIp: 1000,
    trusted: createNetworks(['127.0.0.0/8', '::1/128']),
    hasCredentials: credentials.length > 0,
    ...options.settings,
  };
  const limits = options.limits ?? createConnectionLimits(() => settings);
  const listener = createSmtpListener({
    listener: { host, port: 0, tls },
    settings: () => settings,
    credentials: options.check ?? createCredentialCheck({ credentials: () => credentials, clock, log }),
    intake: {
      ready: () => null,
      checkSender: () => null,
      accept(submission): Promise<Accepted | Refusal> {
        submissions.push(submission);
        return Promise.resolve(
          hasBadLineEnds(submission.content)
            ? refuse(550, '5.6.0', 'Bare CR, LF or NUL in the message')
            : { kind: 'accepted', id: ids.message(), deliveries: [] },
        );
      },
      ...options.intake,
    },
    tls: tls === 'none' ? null : await testCertificate(),
    clock,
    log,
    limits,
    metrics: {
      connection: (name, mode) => void metrics.push(`connection ${name} ${mode}`),
      disconnection() {},
      authFailure: (reason) => void metrics.push(`auth ${reason}`),
      refused: (reason) => void metrics.push(`refused ${reason}`),
    },
  });
  await listener.start();
  return { listener, port: listener.address.port, settings, submissions, lines: log.lines, metrics, limits };
}

/** A transaction up to the content. */
export const ENVELOPE: readonly string[] = ['MAIL FROM:<app@example.com>', 'RCPT TO:<ann@example.net>', 'DATA'];

/** What the tests of a file open; all of it is closed after each test. */
export interface SmtpBench {
  /** Starts a listener. */
  open(options?: RigOptions): Promise<Rig>;
  /** Connects; nothing is read yet. */
  connect(rig: Pick<Rig, 'port'>, options?: Partial<SmtpClientOptions>): Promise<SmtpClient>;
  /** Connects, reads the greeting and says EHLO. */
  dial(rig: Pick<Rig, 'port'>, options?: Partial<SmtpClientOptions>): Promise<SmtpClient>;
  /** Connects and reads the greeting. */
  greeted(rig: Pick<Rig, 'port'>, options?: Partial<SmtpClientOptions>): Promise<SmtpClient>;
}

/** Makes the bench of a test file or of a `describe`; to be called outside the tests. */
export function useSmtp(): SmtpBench {
  const rigs: Rig[] = [];
  const clients: SmtpClient[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await Promise.all(rigs.splice(0).map((rig) => rig.listener.stop(0)));
  });

  const bench: SmtpBench = {
    async open(options) {
      const rig = await startRig(options);
      rigs.push(rig);
      return rig;
    },
    async connect(rig, options = {}) {
      const client = await connectSmtp({ port: rig.port, ...options });
      clients.push(client);
      return client;
    },
    async greeted(rig, options) {
      const client = await bench.connect(rig, options);
      const greeting = await client.reply();
      if (greeting.code !== 220) throw new Error(`the listener greets with ${greeting.raw}`);
      return client;
    },
    async dial(rig, options) {
      const client = await bench.greeted(rig, options);
      const hello = await client.command('EHLO client.example');
      if (hello.code !== 250) throw new Error(`the listener answers EHLO with ${hello.raw}`);
      return client;
    },
  };
  return bench;
}
