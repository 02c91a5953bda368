import { describe, expect, test } from 'vitest';
import { BOUNCED, NO_USER, seed } from './seed.ts';
import { NOW, type Ran, run, tempFolder, type TestIoOptions } from './support.ts';

const suppressions = (folder: string, argv: readonly string[], options: TestIoOptions = {}): Promise<Ran> =>
  run(['suppressions', ...argv, '--data', folder], { now: NOW + 1000, ...options });

describe('suppressions', () => {
  test('lists who gets no mail, why, and how long, beside a relay that runs', async () => {
    const folder = tempFolder();
    const { accept, attempt } = await seed(folder);
    const { id } = await accept();
    await attempt(NO_USER, { ...BOUNCED, suppressUntil: NOW + 86_401_000 });
    for (const argv of [[], ['list']]) {
      const { code, json } = await suppressions(folder, argv);
      expect(code).toBe(0);
      expect(json).toEqual([
        {
          recipient: 'ann@example.net',
          reason: 'bounce',
          detail: 'no such user',
          message_id: id,
          created_at: '2026-01-05T10:00:00.000Z',
          expires_at: '2026-01-06T10:00:01.000Z',
        },
      ]);
    }
    const { out } = await suppressions(folder, [], { tty: true });
    expect(out).toMatch(new RegExp(`ann@example\\.net +bounce +2026-01-05 10:00:00Z +24 h +${id} +no such user`));
  });

  test('says so when nobody is suppressed', async () => {
    const folder = tempFolder();
    await seed(folder);
    expect((await suppressions(folder, [], { tty: true })).out).toBe('Nobody is suppressed.\n');
    expect((await suppressions(folder, [])).out).toBe('');
  });

  test('adds for a time and for good, and the next message sees it', async () => {
    const folder = tempFolder();
    const { accept, store } = await seed(folder);
    const added = await suppressions(folder, [
      'add',
      'Ann@example.net',
      '--for',
      '30d',
      '--reason',
      'asked\u001b[31m us',
    ]);
    expect(added.json).toMatchObject([
      { reason: 'manual', detail: 'asked us', expires_at: '2026-02-04T10:00:01.000Z' },
    ]);
    await suppressions(folder, ['add', 'bo@example.net'], { tty: true });
    expect((await suppressions(folder, [])).json).toMatchObject([
      { recipient: 'Ann@example.net' },
      { recipient: 'bo@example.net', detail: 'added by an operator', expires_at: null },
    ]);
    const { id } = await accept();
    expect((await store.history.message(id))?.deliveries[0]?.state).toBe('suppressed');
  });

  test('removes in any letter case, and fails for one that is not there', async () => {
    const folder = tempFolder();
    await seed(folder);
    await suppressions(folder, ['add', 'ann@example.net']);
    const { code, json } = await suppressions(folder, ['remove', 'ANN@example.net', 'bo@example.net']);
    expect(code).toBe(1);
    expect(json).toEqual([
      { recipient: 'ANN@example.net', removed: true },
      { recipient: 'bo@example.net', removed: false },
    ]);
    expect((await suppressions(folder, ['list'])).json).toEqual([]);
  });

  test('shows no more than was asked for, and says that there may be more', async () => {
    const folder = tempFolder();
    await seed(folder);
    for (const name of ['a', 'b', 'c']) await suppressions(folder, ['add', `${name}@example.net`]);
    expect((await suppressions(folder, ['list', '--limit', '2'])).json).toHaveLength(2);
    expect((await suppressions(folder, ['list', '--limit', '2'], { tty: true })).out).toContain('--limit 20');
    expect((await suppressions(folder, ['list'], { tty: true })).out).not.toContain('--limit');
  });

  test.each([
    [['add', 'not an address'], 'is not a recipient'],
    [['add', 'ann@example.net', '--for', 'a while'], 'Give a span such as 12h or 30d'],
    [['remov', 'ann@example.net'], 'did you mean `remove`?'],
    [['list', 'ann@example.net'], 'too many arguments'],
  ])('refuses %j as wrong use', async (argv, words) => {
    const folder = tempFolder();
    await seed(folder);
    const { code, err } = await suppressions(folder, argv);
    expect(code).toBe(2);
    expect(err).toContain(words);
  });
});
