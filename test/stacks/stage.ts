/**
 * What every test of a stack needs around it: a relay that knows the stack by its credential and takes mail over STARTTLS
 * only, and a next hop behind it that keeps the octets it is given.
 *
 * The relay is the real process. Of a mail that went through, `passed` brings together what a user could ask for: what the
 * next hop got, what the relay wrote down about it, and whether the signature holds.
 */
import path from 'node:path';
import { expect } from 'vitest';
import { hashPassword } from '../../src/config/scrypt-hash.ts';
import { dkimVerdicts } from '../support/dkim-verify.ts';
import { type ReceivedMessage, startNextHop } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';

const PASSWORD = 'correct horse battery staple';

export interface Stage {
  /** What to write into the stack's SMTP settings. */
  readonly smtp: {
    readonly host: string;
    readonly port: number;
    readonly username: string;
    readonly password: string;
    /** File with the certificate of the relay, for stacks that check it. */
    readonly caFile: string;
  };
  /** A folder that goes away with the stage. */
  readonly dir: string;
  /** Waits for the mail to `recipient` at the next hop and for its end in the log. */
  passed(recipient: string): Promise<Passed>;
  /** Everything that the relay wrote for people: standard output, standard error, `tail`. */
  spoken(): Promise<string>;
  close(): Promise<void>;
}

export interface Passed {
  readonly received: ReceivedMessage;
  /** One for each DKIM-Signature. */
  readonly signatures: readonly boolean[];
  /** `data` of `message.delivered`. */
  readonly event: Delivered;
}

interface Delivered {
  readonly message: {
    readonly id: string;
    readonly tag: string | null;
    readonly tag_source: string;
    readonly flow: string | null;
    readonly priority: string;
    readonly credential: string | null;
  };
  readonly delivery: { readonly recipient: string; readonly state: string };
}

interface Event {
  readonly type: string;
  readonly data: Delivered;
}

/**
 * Starts a relay for `credential`, which may send as `*@example.com` and logs in with `smtp.password`; its other keys as in
 * the config.
 */
export async function openStage(credential: {
  readonly username: string;
  readonly tag?: string;
  readonly headers?: { readonly allow: 'all' | readonly string[] };
}): Promise<Stage> {
  const hop = await startNextHop();
  const home = await createRelayHome();
  let relay: RelayProcess;
  let records: Readonly<Record<string, string>>;
  try {
    const key = path.join(home.dir, 'dkim.pem');
    records = await makeKey(home, key);
    await home.configure(
      sandboxConfig({
        smtp: { listeners: [{ host: '127.0.0.1', port: 0, tls: 'starttls-required' }] },
        credentials: [{ ...credential, password: await hashPassword(PASSWORD), from: ['*@example.com'] }],
        senders: [{ domain: 'example.com', dkim: [{ selector: 'lp1', key }] }],
        tags: { 'password-reset': { ttl: '15m' } },
        routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' } },
        rules: [{ name: 'default', via: ['hop'] }],
        log: { level: 'debug' },
      }),
    );
    relay = await home.start();
  } catch (error) {
    await hop.close();
    await home.remove();
    throw error;
  }
  return {
    smtp: {
      host: 'localhost',
      port: relay.smtpPort,
      username: credential.username,
      password: PASSWORD,
      caFile: path.join(home.dir, 'data', 'tls', 'self-signed.cert.pem'),
    },
    dir: home.dir,
    async passed(recipient) {
      const isToThem = (message: ReceivedMessage): boolean =>
        message.recipients.some(({ address }) => address === recipient);
      await until(() => hop.accepted().some(isToThem), `a mail to ${recipient} at the next hop`);
      const received = hop.accepted().filter(isToThem);
      expect(received, `copies for ${recipient}`).toHaveLength(1);
      const [message] = received;
      if (message === undefined) throw new Error('unreachable: its length is 1');
      return {
        received: message,
        signatures: await dkimVerdicts(message.content, records),
        event: await deliveredEvent(home, recipient),
      };
    },
    async spoken() {
      const { stdout, stderr } = await home.cli(['tail', '--json', '-n', '1000']);
      return [JSON.stringify(relay.log), relay.stderr(), stdout, stderr].join('\n');
    },
    async close() {
      await relay.stop();
      await hop.close();
      await home.remove();
    },
  };
}

/** Where the headers of `message` end and the body begins. */
export function bodyOf(message: Buffer): Buffer {
  return message.subarray(message.indexOf('\r\n\r\n') + 4);
}

/** Makes a key and returns the DNS record of it that the command prints. */
async function makeKey(home: RelayHome, file: string): Promise<Readonly<Record<string, string>>> {
  const { code, stdout, stderr } = await home.cli(
    ['dkim', 'generate', '--domain', 'example.com', '--selector', 'lp1', '--out', file],
    '',
  );
  expect(code, stderr).toBe(0);
  const line = stdout.split('\n').find((text) => text.startsWith('{')) ?? '{}';
  const record = JSON.parse(line) as { readonly name: string; readonly value: string };
  return { [record.name]: record.value };
}

async function deliveredEvent(home: RelayHome, recipient: string): Promise<Delivered> {
  let found: Event | undefined;
  await until(async () => {
    const { stdout } = await home.cli(['tail', '--json', '-n', '1000']);
    const lines = stdout.split('\n').filter((line) => line !== '');
    const events = lines.map((line) => JSON.parse(line) as Event);
    found = events.find(({ type, data }) => type === 'message.delivered' && data.delivery.recipient === recipient);
    return found !== undefined;
  }, `message.delivered for ${recipient}`);
  if (found === undefined) throw new Error('unreachable: it was waited for');
  return found.data;
}
