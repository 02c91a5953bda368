/**
 * What the benchmark asks of a mail server that takes part, and what it gives each of them: the same signing key, the
 * same next hops, a folder of its own.
 *
 * Every contestant listens on loopback, trusts loopback, signs mail from `DOMAIN` with RSA-2048, and hands mail for
 * `BULK_DOMAIN` to the counting sink, mail for `SAMPLE_DOMAIN` to the capturing one, and mail for `SLOW_DOMAIN` to one that
 * takes its time.
 */
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

export const DOMAIN = 'bench.example';
export const BULK_DOMAIN = 'bulk.example';
export const SAMPLE_DOMAIN = 'sample.example';
export const SLOW_DOMAIN = 'slow.example';

export interface DkimKey {
  readonly selector: string;
  /** PEM, PKCS #8, readable by its owner alone. */
  readonly file: string;
  readonly pem: string;
  /** The TXT record that a verifier would find. */
  readonly record: string;
}

export interface Place {
  /** An empty folder that every user of the machine may enter. */
  readonly dir: string;
  readonly dkim: DkimKey;
  /** Where mail for `BULK_DOMAIN` goes, on 127.0.0.1. */
  readonly bulkPort: number;
  /** Where mail for `SAMPLE_DOMAIN` goes, on 127.0.0.1. */
  readonly samplePort: number;
  /** Where mail for `SLOW_DOMAIN` goes, on 127.0.0.1. */
  readonly slowPort: number;
}

export interface Contestant {
  readonly name: string;
  /** Why it cannot take part on this machine, or null. */
  absent(): string | null;
  start(place: Place): Promise<Running>;
}

export interface Running {
  readonly port: number;
  /** Version and settings that matter, in a few words. */
  readonly about: string;
  /** Processes whose trees are the contestant. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** Makes the key that every contestant signs with. */
export function makeDkimKey(dir: string): DkimKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const file = join(dir, 'dkim.pem');
  writeFileSync(file, pem, { mode: 0o600 });
  const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  return { selector: 'bench', file, pem, record: `v=DKIM1; k=rsa; p=${spki}` };
}

/** Makes a folder that a server running as another user may enter. */
export function makeFolder(...path: readonly string[]): string {
  const dir = join(...path);
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o755);
  return dir;
}

/** Ends a process that we started: SIGTERM, and SIGKILL when it is still there after 10 s. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves when a server greets on 127.0.0.1:`port`; rejects when none has within 20 s or `alive` turns false. */
export async function untilGreeted(port: number, alive: () => boolean): Promise<void> {
  const until = Date.now() + 20_000;
  while (Date.now() < until && alive()) {
    const greeted = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.setTimeout(2_000, () => socket.destroy());
      socket.on('data', (data) => socket.end('QUIT\r\n', () => resolve(data.toString('latin1').startsWith('220'))));
      socket.on('error', () => resolve(false)).on('close', () => resolve(false));
    });
    if (greeted) return;
    await pause(100);
  }
  throw new Error(alive() ? `nothing greets on port ${port}` : 'it ended right after its start');
}
