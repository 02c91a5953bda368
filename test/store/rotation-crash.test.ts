/** kill -9 at every step of a rotation of the content key. */
import { spawnSync } from 'node:child_process';
import { linkSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createIds, type MessageId } from '../../src/core/ids.ts';
import { systemClock } from '../../src/core/time.ts';
import { readKeyFile } from '../../src/store/sqlite/key-file.ts';
import { keyFileBeside } from '../../src/store/sqlite/key-ring.ts';
import { openSqliteKeys } from '../../src/store/sqlite/open-keys.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { tempFolder } from './fixture.ts';
import { newMessage } from './message.ts';
import { filesIn } from './remnants.ts';

const ids = createIds(systemClock);
const CONTENT = Buffer.from('Subject: reset\r\n\r\nhttps://accounts.example.com/reset?t=1\r\n');

/** Opens the database as a relay does, reads what waits there, takes one more message, and stops. */
async function start(file: string, waiting: readonly MessageId[]): Promise<MessageId> {
  const store = await openSqliteStore({ file, clock: systemClock, dropContentWhenSettled: true, exclusive: true });
  for (const id of waiting) expect(Buffer.from((await store.queue.content(id)) ?? [])).toEqual(CONTENT);
  const message = newMessage(ids, systemClock.now(), { content: CONTENT });
  await store.intake.accept(message);
  await store.stop();
  return message.record.id;
}

/** Files in `folder` that have `secret` in them. */
function filesWith(folder: string, secret: string): readonly string[] {
  return [...filesIn(folder)].filter(([, octets]) => octets.includes(secret)).map(([name]) => name);
}

const secretsIn = (keyFile: string): readonly string[] => readFileSync(keyFile, 'latin1').match(/\S{43}=/g) ?? [];
const keyFiles = (folder: string): readonly string[] => readdirSync(folder).filter((name) => name.includes('key'));

test('after a kill at any step the mail can be read, no copy of a key stays, and the next rotation brings a new key', {
  timeout: 300_000,
}, async () => {
  let killed = 0;
  for (let step = 1; ; step++) {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    const keyFile = path.join(folder, 'content.key');
    const waiting = [await start(file, [])];
    waiting.push(await start(file, waiting));
    const [original = ''] = secretsIn(keyFile);

    const child = spawnSync(process.execPath, [path.join(import.meta.dirname, 'rotator.ts'), file, String(step)], {
      encoding: 'utf8',
    });
    const done = /^steps (\d+)/.exec(child.stdout)?.[1];
    if (done === undefined) expect([child.signal, child.stderr], `step ${step}`).toEqual(['SIGKILL', '']);

    // The operator starts the relay again: all is there, and every key that is left stands in the one file.
    waiting.push(await start(file, waiting));
    expect(keyFiles(folder), `step ${step}`).toEqual(['content.key']);
    const interrupted = secretsIn(keyFile);

    const keys = openSqliteKeys(file, keyFileBeside(file));
    const rotation = await keys.rotate(systemClock, AbortSignal.timeout(20_000));
    expect(rotation.resumed, `step ${step}`).toBe(interrupted.length > 1);
    expect(keys.list(), `step ${step}`).toMatchObject([
      { id: rotation.to, messages: waiting.length, current: true, missing: false },
    ]);
    keys.stop();
    // What the broken one had made may have been seen meanwhile: this call was to bring a key that nobody saw.
    const [current = '', ...others] = secretsIn(keyFile);
    expect(others, `step ${step}`).toEqual([]);
    expect([original, ...interrupted], `step ${step}`).not.toContain(current);
    for (const old of [original, ...interrupted]) expect(filesWith(folder, old), `step ${step}`).toEqual([]);
    expect(filesWith(folder, current), `step ${step}`).toEqual(['content.key']);
    await start(file, waiting);
    if (done !== undefined) {
      expect(Number(done)).toBe(step - 1);
      break;
    }
    killed++;
  }
  expect(killed).toBeGreaterThan(20);
});

test('a draft of a first start that is the key file itself under another name is taken away, and the key stays', async () => {
  const folder = await tempFolder();
  const file = path.join(folder, 'relay.db');
  const keyFile = path.join(folder, 'content.key');
  const id = await start(file, []);
  const before = readKeyFile(keyFile);
  linkSync(keyFile, `${keyFile}.0123456789ab.new`);
  writeFileSync(`${keyFile}.ba9876543210.new`, 'half a line', { mode: 0o600 });
  await start(file, [id]);
  expect(keyFiles(folder)).toEqual(['content.key']);
  expect(readKeyFile(keyFile)).toEqual(before);
});
