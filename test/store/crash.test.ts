/** kill -9 in the middle of commits: what was answered is there, whole. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { parseMessageId } from '../../src/core/ids.ts';
import { systemClock } from '../../src/core/time.ts';
import { openSqliteReader } from '../../src/store/sqlite/open-reader.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { tempFolder } from './fixture.ts';

const KILLS = 10;

/** Lets a process accept mail and settle it, kills it after its answer number `lines`; returns all that it had answered. */
async function runAndKill(file: string, lines: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'committer.ts'), file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const answers: string[] = [];
  const output = createInterface(child.stdout);
  output.on('line', (line) => {
    answers.push(line);
    if (answers.length === lines) child.kill('SIGKILL');
  });
  const [[, signal]] = await Promise.all([once(child, 'exit'), once(output, 'close')]);
  expect(signal).toBe('SIGKILL');
  return answers;
}

test('every answered accept and settle outlives ten kills, and the event log has no gap', {
  timeout: 120_000,
}, async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  const answers: string[] = [];
  for (let kill = 0; kill < KILLS; kill++) answers.push(...(await runAndKill(file, 20 + kill * 37)));

  // As the relay does at its next start.
  const store = await openSqliteStore({ file, clock: systemClock, dropContentWhenSettled: false, exclusive: true });
  const interrupted = await store.queue.reclaimExpired(systemClock.now(), 3);
  const figures = await store.health.figures();
  expect(figures.byState.sending).toBe(0);
  expect(figures.byState.deferred).toBe(interrupted);
  await store.stop();

  const reader = await openSqliteReader(file);
  onTestFinished(() => reader.stop());
  for (const answer of answers) {
    const [fact = '', text = ''] = answer.split(' ');
    const id = parseMessageId(text);
    const view = id === null ? null : await reader.message(id);
    expect(view, answer).not.toBeNull();
    if (id === null || view === null) continue;
    expect((await reader.content(id))?.length, answer).toBe(view.size);
    if (fact === 'settled') expect(view.deliveries[0]?.state, answer).toBe('delivered');
  }
  let seq = 0;
  for (;;) {
    const events = await reader.events({ afterSeq: seq, limit: 1000 });
    for (const event of events) expect(event.data.seq).toBe(++seq);
    if (events.length < 1000) break;
  }
  expect(answers.length).toBeGreaterThanOrEqual(KILLS * 20);
  expect(seq).toBeGreaterThanOrEqual(answers.length);
});
