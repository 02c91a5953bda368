import { describe, expect, test } from 'vitest';
import type { CredentialConfig, ScryptHash } from '../../src/config/types.ts';
import { systemClock } from '../../src/core/time.ts';
import { createCredentialCheck } from '../../src/intake/credentials.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { createMemoryLog, credentialFor } from '../support/smtp-listener.ts';

const HOME = '192.0.2.1';
const AWAY = '198.51.100.7';

/** A hash that `compareFake` takes for the one of `password`. */
function fakeHash(password: string, salt = 1): ScryptHash {
  return { n: 16_384, r: 8, p: 1, salt: new Uint8Array([salt]), hash: Buffer.from(password) };
}

function credential(username: string, password: string, more: Partial<CredentialConfig> = {}): CredentialConfig {
  return {
    username,
    password: fakeHash(password),
    from: [],
    networks: [],
    tag: null,
    headers: { allow: 'all', aliases: new Set() },
    rate: null,
    ...more,
  };
}

interface Fixture {
  readonly clock: ManualClock;
  readonly list: CredentialConfig[];
  readonly check: ReturnType<typeof createCredentialCheck>;
  readonly log: ReturnType<typeof createMemoryLog>;
  readonly compared: ScryptHash[];
  /** Comparisons that run at this moment, and the most that ever did. */
  readonly running: { now: number; most: number };
  /** While set, comparisons wait for it. */
  gate: Promise<void>;
}

function fixture(...list: CredentialConfig[]): Fixture {
  const clock = createManualClock(0);
  const log = createMemoryLog();
  const made: Fixture = {
    clock,
    list,
    log,
    compared: [],
    running: { now: 0, most: 0 },
    gate: Promise.resolve(),
    check: createCredentialCheck({
      credentials: () => made.list,
      clock,
      log,
      async compare(hash, password) {
        made.compared.push(hash);
        made.running.now++;
        made.running.most = Math.max(made.running.most, made.running.now);
        await made.gate;
        made.running.now--;
        return Buffer.from(hash.hash).equals(Buffer.from(password));
      },
    }),
  };
  return made;
}

async function guess(f: Fixture, times: number, username: string, address: string): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (let i = 0; i < times; i++) answers.push(await f.check.verify(username, `guess ${i}`, address));
  return answers;
}

describe('verify', () => {
  test('returns the credential for the right password and denies a wrong one, with real scrypt hashes', async () => {
    const app = await credentialFor('app', 'correct horse');
    const check = createCredentialCheck({ credentials: () => [app], clock: systemClock, log: createMemoryLog() });
    expect(await check.verify('app', 'correct horse', HOME)).toBe(app);
    expect(await check.verify('app', 'correct horse ', HOME)).toBe('denied');
    expect(await check.verify('App', 'correct horse', HOME)).toBe('denied');
  });

  test('denies everything when there are no credentials', async () => {
    const f = fixture();
    expect(await f.check.verify('app', '', HOME)).toBe('denied');
  });

  test('computes one hash of the same cost for an unknown user as for a wrong password', async () => {
    const f = fixture(credential('app', 'secret'));
    await f.check.verify('app', 'wrong', HOME);
    await f.check.verify('nobody', 'wrong', HOME);
    expect(f.compared.map(({ n, r, p }) => [n, r, p])).toEqual([
      [16_384, 8, 1],
      [16_384, 8, 1],
    ]);
    expect(f.compared[1]?.hash).not.toEqual(f.compared[0]?.hash);
  });

  test('computes the hash of a proven password once', async () => {
    const f = fixture(credential('app', 'secret'));
    for (let i = 0; i < 5; i++) expect(await f.check.verify('app', 'secret', HOME)).toBe(f.list[0]);
    expect(f.compared).toHaveLength(1);
  });

  test('does not take a wrong password for a proven one', async () => {
    const f = fixture(credential('app', 'secret'));
    await f.check.verify('app', 'secret', HOME);
    expect(await f.check.verify('app', 'secret2', HOME)).toBe('denied');
    expect(f.compared).toHaveLength(2);
  });

  test('forgets a proven password when the hash changes, and keeps it when a reload brings the same hash', async () => {
    const f = fixture(credential('app', 'secret'));
    await f.check.verify('app', 'secret', HOME);
    f.list[0] = credential('app', 'secret', { tag: 'password-reset' });
    expect(await f.check.verify('app', 'secret', HOME)).toBe(f.list[0]);
    expect(f.compared).toHaveLength(1);
    f.list[0] = credential('app', 'new secret');
    expect(await f.check.verify('app', 'secret', HOME)).toBe('denied');
    expect(await f.check.verify('app', 'new secret', HOME)).toBe(f.list[0]);
  });

  test('denies a password that was proven while its credential was being replaced', async () => {
    const f = fixture(credential('app', 'secret'));
    const { promise, resolve } = Promise.withResolvers<void>();
    f.gate = promise;
    const answer = f.check.verify('app', 'secret', HOME);
    f.list[0] = credential('app', 'other');
    resolve();
    expect(await answer).toBe('denied');
  });

  test('denies a login from outside the networks of the credential after the same work', async () => {
    const f = fixture(credential('app', 'secret', { networks: ['192.0.2.0/24'] }));
    expect(await f.check.verify('app', 'secret', AWAY)).toBe('denied');
    expect(f.compared).toHaveLength(1);
    expect(await f.check.verify('app', 'secret', `::ffff:${HOME}`)).toBe(f.list[0]);
    expect(await f.check.verify('app', 'secret', AWAY)).toBe('denied');
    expect(f.compared).toHaveLength(3);
  });

  test('logs who failed, from where and why, cleaned and cut, and never a password', async () => {
    const f = fixture(credential('app', 'secret'));
    await f.check.verify(`app\r\n\u001b[31m${'x'.repeat(100)}`, 'hunter2-wrong', HOME);
    await f.check.verify('app', 'hunter2-wrong', HOME);
    const refused = { event: 'smtp.login-refused', client: HOME, wait_ms: 0 };
    expect(f.log.lines.map((line) => line.fields)).toEqual([
      { ...refused, username: `app???[31m${'x'.repeat(54)}...`, reason: 'unknown user' },
      { ...refused, username: 'app', reason: 'wrong password' },
    ]);
    expect(JSON.stringify(f.log.lines)).not.toContain('hunter2');
  });
});

describe('back-off', () => {
  test('answers slow-down after five failures of a user from an address, without comparing', async () => {
    const f = fixture(credential('app', 'secret'));
    expect(await guess(f, 8, 'app', HOME)).toEqual([...Array(6).fill('denied'), 'slow-down', 'slow-down']);
    expect(f.compared).toHaveLength(6);
    expect(await f.check.verify('app', 'secret', HOME)).toBe('slow-down');
  });

  test('doubles the wait with each failure up to a minute', async () => {
    const f = fixture(credential('app', 'secret'));
    await guess(f, 6, 'app', HOME);
    for (const waitMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      await f.clock.advance(waitMs - 1);
      expect(await f.check.verify('app', 'wrong', HOME), `${waitMs}`).toBe('slow-down');
      await f.clock.advance(1);
      expect(await f.check.verify('app', `wrong ${waitMs}`, HOME), `${waitMs}`).toBe('denied');
    }
  });

  test('a right password after the wait resets the count', async () => {
    const f = fixture(credential('app', 'secret'));
    await guess(f, 6, 'app', HOME);
    await f.clock.advance(1000);
    expect(await f.check.verify('app', 'secret', HOME)).toBe(f.list[0]);
    expect(await guess(f, 6, 'app', HOME)).toEqual(Array(6).fill('denied'));
  });

  test('forgets an address that has been quiet for a quarter of an hour', async () => {
    const f = fixture(credential('app', 'secret'));
    await guess(f, 6, 'app', HOME);
    await f.clock.advance(15 * 60_000);
    expect(await guess(f, 6, 'app', HOME)).toEqual(Array(6).fill('denied'));
  });

  test('an address that tries many users is slowed down for all of them', async () => {
    const f = fixture(credential('app', 'secret'));
    for (let i = 0; i < 11; i++) await f.check.verify(`user${i}`, 'x', AWAY);
    expect(await f.check.verify('app', 'secret', AWAY)).toBe('slow-down');
  });

  test('all addresses of an IPv6 /64 count as one', async () => {
    const f = fixture(credential('app', 'secret'));
    for (let i = 1; i <= 6; i++) await f.check.verify('app', `x${i}`, `2001:db8::${i}`);
    expect(await f.check.verify('app', 'secret', '2001:db8::77')).toBe('slow-down');
    expect(await f.check.verify('app', 'secret', '2001:db8:0:1::1')).toBe(f.list[0]);
  });

  test('a user keeps logging in from anywhere else while one address guesses at it for hours', async () => {
    const f = fixture(credential('app', 'secret'));
    for (let i = 0; i < 200; i++) {
      await f.clock.advance(61_000);
      expect(await f.check.verify('app', `guess ${i}`, AWAY)).toBe('denied');
    }
    expect(await f.check.verify('app', 'secret', HOME)).toBe(f.list[0]);
  });

  test('a user that many addresses guess at is slowed down for new addresses and not for one it logged in from', async () => {
    const f = fixture(credential('app', 'secret'));
    await f.check.verify('app', 'secret', HOME);
    for (let i = 0; i < 6; i++) await guess(f, 5, 'app', `198.51.100.${i}`);
    expect(await f.check.verify('app', 'secret', '203.0.113.1')).toBe('slow-down');
    expect(await f.check.verify('app', 'secret', HOME)).toBe(f.list[0]);
  });

  test('an honest client goes on when another one behind its address guesses', async () => {
    const f = fixture(credential('app', 'secret'), credential('other', 'topsecret'));
    await f.check.verify('app', 'secret', HOME);
    for (let i = 0; i < 20; i++) await f.check.verify(`user${i}`, 'x', HOME);
    expect(await f.check.verify('app', 'secret', HOME)).toBe(f.list[0]);
    await guess(f, 20, 'other', HOME);
    expect(await f.check.verify('app', 'secret', HOME)).toBe(f.list[0]);
  });

  test('guesses that were sent all at once count like guesses one after the other', async () => {
    const f = fixture(credential('app', 'secret'));
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => f.check.verify('app', `guess ${i}`, AWAY)));
    expect(answers.filter((answer) => answer === 'denied')).toHaveLength(6);
    expect(f.compared).toHaveLength(6);
  });

  test('stays bounded: after very many addresses the oldest is forgotten, and none fails', async () => {
    const f = fixture(credential('app', 'secret'));
    await guess(f, 7, 'app', AWAY);
    for (let i = 0; i < 10_001; i++) await f.check.verify(`u${i}`, 'y', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    expect(await f.check.verify('app', 'wrong', AWAY)).toBe('denied');
  });
});

describe('the thread pool', () => {
  test('computes one hash at a time, however many ask', async () => {
    const f = fixture(credential('app', 'secret'));
    await Promise.all(Array.from({ length: 40 }, (_, i) => f.check.verify(`user${i}`, 'x', `10.0.0.${i}`)));
    expect(f.running.most).toBe(1);
    expect(f.compared).toHaveLength(40);
  });

  test('a login waits for two guesses of another address at most, not for all of them', async () => {
    const f = fixture(credential('app', 'secret'));
    const { promise, resolve } = Promise.withResolvers<void>();
    f.gate = promise;
    const guesses = Array.from({ length: 30 }, (_, i) => f.check.verify(`user${i}`, 'x', AWAY));
    const honest = f.check.verify('app', 'secret', HOME);
    resolve();
    expect(await honest).toBe(f.list[0]);
    expect(f.compared.findIndex((hash) => hash === f.list[0]?.password)).toBeLessThanOrEqual(2);
    await Promise.all(guesses);
  });

  test('a proven password does not wait for the hashes of others', async () => {
    const f = fixture(credential('app', 'secret'));
    await f.check.verify('app', 'secret', HOME);
    const { promise, resolve } = Promise.withResolvers<void>();
    f.gate = promise;
    const guessing = f.check.verify('x', 'y', AWAY);
    expect(await f.check.verify('app', 'secret', HOME)).toBe(f.list[0]);
    resolve();
    await guessing;
  });

  test('an address with failures waits behind one without', async () => {
    const f = fixture(credential('app', 'secret'));
    await f.check.verify('x', 'y', AWAY);
    const { promise, resolve } = Promise.withResolvers<void>();
    f.gate = promise;
    const order: string[] = [];
    const first = f.check.verify('z', 'y', '203.0.113.1');
    const failing = f.check.verify('x', 'z', AWAY).then(() => order.push('failing'));
    const honest = f.check.verify('app', 'secret', HOME).then(() => order.push('honest'));
    resolve();
    await Promise.all([first, failing, honest]);
    expect(order).toEqual(['honest', 'failing']);
  });

  test('an application that opens a hundred connections at once with one password pays for one hash', async () => {
    const f = fixture(credential('app', 'secret'));
    const answers = await Promise.all(Array.from({ length: 100 }, () => f.check.verify('app', 'secret', HOME)));
    expect(new Set(answers)).toEqual(new Set([f.list[0]]));
    expect(f.compared).toHaveLength(1);
  });

  test('an address that has too many guesses waiting is told to slow down', async () => {
    const f = fixture(credential('app', 'secret'));
    const { promise, resolve } = Promise.withResolvers<void>();
    f.gate = promise;
    const answers = Array.from({ length: 60 }, (_, i) => f.check.verify(`user${i}`, 'x', AWAY));
    resolve();
    expect((await Promise.all(answers)).filter((answer) => answer === 'slow-down').length).toBeGreaterThanOrEqual(27);
  });

  test('a failure of the computation rejects the login that needed it and no other', async () => {
    const log = createMemoryLog();
    let calls = 0;
    const check = createCredentialCheck({
      credentials: () => [credential('app', 'secret')],
      clock: createManualClock(0),
      log,
      compare: () => (calls++ === 0 ? Promise.reject(new Error('out of memory')) : Promise.resolve(true)),
    });
    await expect(check.verify('app', 'secret', HOME)).rejects.toThrow('out of memory');
    expect(await check.verify('app', 'secret', HOME)).toMatchObject({ username: 'app' });
  });
});

describe('refresh', () => {
  test('returns the credential as the config has it now', () => {
    const f = fixture(credential('app', 'secret'));
    const before = f.list[0] ?? credential('', '');
    f.list[0] = credential('app', 'secret', { from: ['*@example.com'] });
    expect(f.check.refresh(before)).toBe(f.list[0]);
  });

  test('returns null once the credential is gone or its password changed', () => {
    const f = fixture(credential('app', 'secret'));
    const before = f.list[0] ?? credential('', '');
    f.list[0] = credential('app', 'other');
    expect(f.check.refresh(before)).toBeNull();
    f.list.length = 0;
    expect(f.check.refresh(before)).toBeNull();
  });
});
