/** The log file while it is moved away under load: every line once, in order, in one file or the next. */
import { readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { createTransport } from 'nodemailer';
import { afterEach, expect, test } from 'vitest';
import { createRelayHome, type RelayHome, sandboxConfig, until } from '../support/relay.ts';

const ROTATIONS = 8;
const MESSAGES = 400;

let home: RelayHome;
afterEach(() => home.remove());

test('a log file that is renamed, and opened anew with SIGUSR2, loses no line and has none twice', async () => {
  home = await createRelayHome(sandboxConfig({ log: { level: 'info', file: './relay.log' } }));
  const relay = await home.start();
  const file = path.join(home.dir, 'relay.log');
  const files: string[] = [];
  const transport = createTransport({ host: '127.0.0.1', port: relay.smtpPort, ignoreTLS: true, pool: true });
  let sent = 0;
  const sendAll = Promise.all(
    Array.from({ length: MESSAGES }, async (_, index) => {
      await transport.sendMail({
        from: 'app@example.com',
        to: `r${index}@example.net`,
        text: 'x',
        headers: { 'X-Leadpush-Tag': 'receipt' },
      });
      sent++;
    }),
  );
  for (let turn = 1; turn <= ROTATIONS; turn++) {
    // Spread over the load: each rotation falls into lines that are being written.
    await until(() => sent >= (MESSAGES / (ROTATIONS + 1)) * turn, `message ${turn}`);
    const moved = `${file}.${turn}`;
    renameSync(file, moved);
    files.push(moved);
    relay.signal('SIGUSR2');
    await until(() => relay.log.filter((line) => line['event'] === 'log.reopened').length === turn, 'the log anew');
  }
  await sendAll;
  transport.close();
  await until(
    () => relay.log.filter((line) => line['event'] === 'message.delivered').length === MESSAGES,
    'every delivery in the log',
  );
  expect(await relay.stop()).toBe(0);

  const texts = [...files, file].map((each) => readFileSync(each, 'utf8'));
  for (const text of texts) expect(text.split('\n').length).toBeGreaterThan(10);
  const kept = texts.join('').trimEnd().split('\n');
  // Standard output has the same lines, and was never moved.
  expect(kept.map((line) => JSON.parse(line))).toEqual(relay.log);
  const facts = kept.filter((line) => /"event":"message\.(?:accepted|delivered)"/.test(line));
  expect(new Set(facts).size).toBe(2 * MESSAGES);
});

test('SIGUSR2 to a relay without a log file ends nothing', async () => {
  home = await createRelayHome();
  const relay = await home.start();
  relay.signal('SIGUSR2');
  relay.signal('SIGHUP');
  await relay.line((line) => line['event'] === 'config.reloaded');
  expect(await relay.stop()).toBe(0);
});
