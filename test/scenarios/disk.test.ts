/** A disk that fills up and empties again: a small tmpfs as data folder. Needs root, to mount it. */
import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, rm, truncate } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { createTransport } from 'nodemailer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NextHop, startNextHop } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';

const run = promisify(execFile);
const MEGABYTE = 1024 * 1024;

describe('a full disk', () => {
  let hop: NextHop;
  let home: RelayHome;
  let relay: RelayProcess;
  let data: string;
  let ballast: string;

  beforeEach(async () => {
    data = await mkdtemp(path.join(os.tmpdir(), 'leadpush-disk-'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=112m', 'tmpfs', data]);
    ballast = path.join(data, 'ballast');
    hop = await startNextHop();
    home = await createRelayHome(
      sandboxConfig({
        data,
        routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' } },
        rules: [{ name: 'default', via: ['hop'] }],
      }),
    );
    relay = await home.start();
  });

  afterEach(async () => {
    await relay.kill9();
    await hop.close();
    await home.remove();
    await run('umount', [data]);
    await rm(data, { recursive: true, force: true });
  });

  const send = async (): Promise<string> => {
    const transport = createTransport({ host: '127.0.0.1', port: relay.smtpPort, ignoreTLS: true });
    const info = await transport.sendMail({ from: 'a@example.com', to: 'ann@example.net', subject: 'x', text: 'x' });
    return info.response;
  };
  const fill = async (leaveMegabytes: number): Promise<void> => {
    const { stdout } = await run('df', ['--output=avail', '-B1', data]);
    const free = Number(stdout.trim().split('\n').at(-1));
    const block = Buffer.alloc(MEGABYTE, 1);
    for (let left = free - leaveMegabytes * MEGABYTE; left > 0; left -= MEGABYTE) {
      await appendFile(ballast, left >= MEGABYTE ? block : block.subarray(0, left));
    }
  };

  it('below the floor makes the relay refuse mail with 452 and say so in /readyz', async () => {
    await fill(20);
    await relay.line((line) => line['event'] === 'store.unwell');
    await expect(send()).rejects.toThrow(/452 4\.3\.1/);
    const ready = await fetch(`http://127.0.0.1:${relay.httpPort}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain('free');
  });

  it('heals by itself when there is space again', async () => {
    await fill(20);
    await relay.line((line) => line['event'] === 'store.unwell');
    await truncate(ballast, 0);
    await relay.line((line) => line['event'] === 'store.recovered');
    expect(await send()).toContain('250 2.0.0 Ok');
  });

  it('does not keep the result of an attempt from being recorded', async () => {
    let answer: () => void = () => {};
    hop.on('dot', async () => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return null;
    });
    await send();
    await hop.until(() => hop.messages.length === 1);
    await fill(0);
    answer();
    await until(() => {
      const db = new Database(path.join(data, 'relay.db'), { readonly: true });
      try {
        return db.prepare<[], { state: string }>('SELECT state FROM deliveries').get()?.state === 'delivered';
      } finally {
        db.close();
      }
    }, 'the delivery recorded');
    expect(hop.messages).toHaveLength(1);
  });
});
