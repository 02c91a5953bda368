/** SIGHUP while the relay ends: it is no trouble of anybody. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { type Relay, startRelay } from '../../src/app.ts';
import { createSteadyClock } from '../../src/core/steady-clock.ts';
import { systemClock } from '../../src/core/time.ts';
import { sandboxConfig } from '../support/relay.ts';

async function start(): Promise<{ relay: Relay; configFile: string; log: () => string }> {
  const folder = mkdtempSync(join(tmpdir(), 'leadpush-reload-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const configFile = join(folder, 'relay.yaml');
  writeFileSync(configFile, stringify(sandboxConfig({ log: { level: 'error', file: './relay.log' } })));
  const relay = await startRelay({ configFile, env: {}, clock: createSteadyClock(systemClock) });
  return { relay, configFile, log: () => readFileSync(join(folder, 'relay.log'), 'utf8') };
}

test('a broken config is not read any more while the relay ends', async () => {
  const { relay, configFile, log } = await start();
  writeFileSync(configFile, 'smtp: 1');
  const ended = relay.stop();
  expect(await relay.reload()).toBe('ignored');
  await ended;
  expect(log()).toBe('');
});

test('a reload that was begun when the relay ends refuses nothing, and the end waits for it', async () => {
  const { relay, log } = await start();
  const reload = relay.reload();
  await relay.stop();
  expect(['reloaded', 'ignored']).toContain(await reload);
  expect(log()).toBe('');
});
