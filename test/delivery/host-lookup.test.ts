import { expect, test } from 'vitest';
import { createHostLookup, type LookupUse } from '../../src/delivery/host-lookup.ts';
import { createManualClock } from '../support/clock.ts';

const FOUND = [{ address: '192.0.2.1', family: 4 }];

/** A line over a system that answers when the test says so. */
function openLine() {
  const clock = createManualClock(0);
  const asked: string[] = [];
  const open = new Map<string, (isThere: boolean) => void>();
  const answered: string[] = [];
  const line = createHostLookup((name, _options, done) => {
    asked.push(name);
    open.set(name, (isThere) =>
      isThere ? done(null, FOUND) : done(Object.assign(new Error('no answer'), { code: 'EAI_AGAIN' }), []),
    );
  }, clock);
  return {
    asked,
    answered,
    clock,
    ask(use: LookupUse, ...names: readonly string[]) {
      for (const name of names) {
        line(use)(name, { all: true }, (error) => void answered.push(error === null ? name : `no ${name}`));
      }
    },
    answer(name: string, isThere = true) {
      const end = open.get(name);
      open.delete(name);
      end?.(isThere);
    },
    /** `name` is asked for and has no answer for ten seconds. */
    async hang(use: LookupUse, name: string) {
      this.ask(use, name);
      await clock.advance(10_000);
      this.answer(name, false);
    },
  };
}

test('a name of mail is asked for at once while webhooks hang', () => {
  const { ask, asked } = openLine();
  ask('webhook', 'a.test', 'b.test', 'c.test');
  ask('mail', 'hop.test');
  expect(asked).toEqual(['a.test', 'b.test', 'hop.test']);
});

test('a name of mail is asked for at once while another one hangs, and webhooks too', async () => {
  const line = openLine();
  await line.hang('mail', 'dead.test');
  line.ask('mail', 'dead.test');
  line.ask('webhook', 'a.test', 'b.test');
  line.ask('mail', 'hop.test');
  expect(line.asked.slice(1)).toEqual(['dead.test', 'a.test', 'hop.test']);
});

test('a webhook that had an answer before waits for none that hung', async () => {
  const line = openLine();
  line.ask('webhook', 'well.test');
  line.answer('well.test');
  for (const name of ['a.test', 'b.test', 'c.test']) await line.hang('webhook', name);
  line.asked.length = 0;
  line.ask('webhook', 'a.test', 'b.test', 'c.test', 'well.test');
  expect(line.asked).toEqual(['a.test', 'well.test']);
});

test('names that hung have their turn, mail between webhooks', async () => {
  const line = openLine();
  for (const name of ['a.test', 'b.test', 'c.test']) await line.hang('webhook', name);
  await line.hang('mail', 'hop.test');
  line.asked.length = 0;
  line.ask('webhook', 'a.test', 'b.test', 'c.test');
  line.ask('mail', 'hop.test');
  for (const name of ['a.test', 'hop.test', 'b.test', 'c.test']) line.answer(name);
  expect(line.asked).toEqual(['a.test', 'hop.test', 'b.test', 'c.test']);
});

test('a name that failed at once is in no doubt', () => {
  const line = openLine();
  line.ask('webhook', 'a.test', 'b.test');
  line.answer('a.test', false);
  line.answer('b.test', false);
  line.ask('webhook', 'a.test', 'b.test');
  expect(line.asked).toEqual(['a.test', 'b.test', 'a.test', 'b.test']);
});

test('many who ask for one name at the same time have one answer', () => {
  const line = openLine();
  line.ask('webhook', 'a.test', 'a.test');
  line.ask('mail', 'a.test');
  expect(line.asked).toEqual(['a.test']);
  line.answer('a.test');
  expect(line.answered).toEqual(['a.test', 'a.test', 'a.test']);
});

test('one address is given to whoever asks for one', () => {
  const seen: unknown[] = [];
  const line = createHostLookup((_name, _options, done) => done(null, FOUND), createManualClock(0));
  line('mail')('a.test', {}, (...answer) => void seen.push(answer));
  expect(seen).toEqual([[null, '192.0.2.1', 4]]);
});
