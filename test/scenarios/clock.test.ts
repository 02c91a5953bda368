/** Somebody sets the machine's clock while mail waits: nothing that has time left ends, and nothing that is over is sent. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NextHop, reply, startNextHop } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig } from '../support/relay.ts';
import { sendReset } from '../support/send-reset.ts';

const HOUR_MS = 3_600_000;

let hop: NextHop;
let home: RelayHome;
let relay: RelayProcess;

beforeEach(async () => {
  hop = await startNextHop({ on: { RCPT: reply('450 4.2.1 later') } });
  home = await createRelayHome(
    sandboxConfig({
      routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' } },
      rules: [{ name: 'default', via: ['hop'] }],
      retry: { critical: ['300ms'] },
    }),
  );
  const clock = path.join(home.dir, 'clock');
  await writeFile(clock, '0');
  const preload = path.join(import.meta.dirname, '../support/set-clock.ts');
  relay = await home.start({ env: { LEADPUSH_TEST_CLOCK: clock, NODE_OPTIONS: `--import=${preload}` } });
});

afterEach(async () => {
  await relay.kill9();
  await hop.close();
  await home.remove();
});

/** Sends a reset that is worth something for `ttl`, and waits until it was tried once. */
async function deferReset(ttl: string): Promise<void> {
  await sendReset(relay.smtpPort, { headers: { 'X-Leadpush-TTL': ttl } });
  await relay.line((line) => line['event'] === 'message.deferred');
}

const setClock = (byMs: number): Promise<void> => writeFile(path.join(home.dir, 'clock'), String(byMs));

describe('a clock that is set', () => {
  it('an hour ahead ends no mail that has time left', async () => {
    await deferReset('15m');
    await setClock(HOUR_MS);
    await relay.line((line) => line['event'] === 'clock.stepped');
    hop.on('RCPT', null);
    await hop.until(() => hop.accepted().length === 1);
    expect(relay.log.filter((line) => line['event'] === 'message.expired')).toEqual([]);
  });

  it('an hour back lets no mail live longer than its time', async () => {
    await deferReset('3s');
    await setClock(-HOUR_MS);
    await relay.line((line) => line['event'] === 'clock.stepped');
    await relay.line((line) => line['event'] === 'message.expired', 10_000);
    hop.on('RCPT', null);
    expect(hop.messages).toEqual([]);
  });
});
