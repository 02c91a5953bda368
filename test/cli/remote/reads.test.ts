import { describe, expect, test } from 'vitest';
import type { EnvelopeAddress } from '../../../src/core/address.ts';
import { BOUNCED, BUSY, CAPTURED, DELIVERED, HOSTILE, LOGIN_REFUSED, REFUSED } from '../seed.ts';
import { NOW } from '../support.ts';
import { ADMIN, type Elsewhere, READ, startElsewhere } from './support.ts';

/** What people and programs see over HTTP is what they see from the files, but for the name of the place. */
async function expectSame(relay: Elsewhere, argv: readonly string[], code = 0): Promise<void> {
  for (const tty of [true, false]) {
    const file = await relay.local(argv, { tty });
    const url = await relay.remote(argv, { tty, token: argv[0] === 'show' ? ADMIN : READ });
    const unplaced = (text: string): string =>
      text.replaceAll(` --data ${relay.folder}`, ' PLACE').replaceAll(` --url ${relay.url}`, ' PLACE');
    expect(unplaced(url.err)).toBe(unplaced(file.err).replace(relay.folder, `the relay at ${relay.url}`));
    if (tty) expect(unplaced(url.out)).toBe(unplaced(file.out));
    else
      expect(JSON.parse(unplaced(JSON.stringify(url.json)))).toEqual(JSON.parse(unplaced(JSON.stringify(file.json))));
    expect([url.code, file.code]).toEqual([code, code]);
    expect(file.out + file.err, argv.join(' ')).not.toBe('');
  }
}

/** Mail of every kind: delivered over a second route, bounced, waiting, replaced, refused, captured, with links. */
async function withMail(): Promise<Elsewhere & { readonly ids: readonly string[] }> {
  const relay = await startElsewhere();
  const links = {
    verdict: 'warn' as const,
    links: [
      {
        scheme: 'https',
        host: 'accounts.example.com',
        shown: null,
        kind: 'link',
        count: 2,
        verdict: 'pass' as const,
        codes: [],
      },
    ],
    findings: [
      {
        code: 'http',
        severity: 'warning' as const,
        part: 'text' as const,
        host: null,
        count: 1,
        text: 'a link in clear',
      },
    ],
    omitted: { links: 0, findings: 1 },
  };
  const ids: string[] = [];
  const accept: Elsewhere['accept'] = async (over) => {
    const made = await relay.accept(over);
    ids.push(made.id);
    await relay.clock.advance(1000);
    return made;
  };
  await accept({ links, collapseKey: 'k-1', warnings: ['X-Leadpush-Foo is not known'] });
  await relay.attempts(
    [
      ['ses', LOGIN_REFUSED],
      ['postmark', DELIVERED],
    ],
    { state: 'delivered', captured: false },
  );
  await accept({ recipient: 'bob@example.net', flow: 'f-2', tag: 'otp' });
  await relay.attempt(HOSTILE, { ...BOUNCED, suppressUntil: NOW + 86_400_000 });
  await accept({ recipient: 'carol@example.net', flow: null, tag: null, asks: { collapseScope: 'c' } });
  await relay.attempt(BUSY, { state: 'deferred', dueAt: NOW + 90_000, route: 'ses', byDestination: false });
  await accept({ recipient: 'carol@example.net', flow: 'f-1', asks: { collapseScope: 'c' } });
  await accept({
    recipient: 'dan@example.net',
    route: 'sandbox',
    content: Buffer.from('Subject: x\r\n\r\nhi \u0000\r\n'),
  });
  await relay.attempt(CAPTURED, { state: 'delivered', captured: true }, 'sandbox');
  await relay.store.queue.routeChanged({ type: 'route.down', route: 'ses', reason: 'refused', at: relay.clock.now() });
  ids.push(await relay.reject('eve@example.net'));
  return { ...relay, ids };
}

describe('a relay elsewhere', () => {
  test('is told of by tail as the files tell', async () => {
    const relay = await withMail();
    for (const more of [
      [],
      ['--since', '1h'],
      ['-n', '2'],
      ['--tag', 'otp'],
      ['--state', 'bounced'],
      ['--type', 'delivered,route.down'],
      ['--recipient', 'CAROL@example.net'],
      ['--flow', 'f-1'],
      ['--route', 'ses'],
      ['--until', '2026-01-05T10:00:01Z'],
    ]) {
      await expectSame(relay, ['tail', ...more]);
    }
  });

  test('is traced by every key as from the files', async () => {
    const relay = await withMail();
    const { ids } = relay;
    for (const id of ids) await expectSame(relay, ['trace', id]);
    await expectSame(relay, ['trace', `<${ids[0]}@example.com>`]);
    await expectSame(relay, ['trace', `${ids[0]}@example.com`]);
    await expectSame(relay, ['trace', 'Carol@example.net']);
    await expectSame(relay, ['trace', 'carol@example.net', '--limit', '1']);
    await expectSame(relay, ['trace', 'eve@example.net']);
    await expectSame(relay, ['trace', 'f-2']);
    await expectSame(relay, ['trace', '--flow', 'f-1']);
    await expectSame(relay, ['trace', 'nobody@example.net'], 1);
  });

  test('is traced by the id of a delivery', async () => {
    const relay = await startElsewhere();
    const { delivery } = await relay.accept();
    await expectSame(relay, ['trace', delivery]);
  });

  test('shows its queue, its suppressions and its counts as the files do', async () => {
    const relay = await withMail();
    for (const argv of [
      ['queue'],
      ['queue', 'list', '--limit', '1'],
      ['suppressions'],
      ['suppressions', 'list', '--limit', '1'],
      ['stats'],
      ['stats', '--since', '1h'],
      ['stats', '--faults', '--top', '1'],
    ]) {
      await expectSame(relay, argv);
    }
  });

  test('is read page by page to its end', async () => {
    const relay = await startElsewhere();
    for (let i = 0; i < 130; i++) {
      await relay.accept({ recipient: `r${i}@example.net`, flow: 'f-9' });
      await relay.store.suppressions.put({
        recipient: `r${i}@example.net` as EnvelopeAddress,
        reason: 'manual',
        detail: 'x',
        messageId: null,
        createdAt: NOW,
        expiresAt: null,
      });
    }
    for (const argv of [
      ['tail', '-n', '115'],
      ['tail', '--since', '1h'],
      ['trace', '--flow', 'f-9', '--limit', '120'],
      ['suppressions', '--limit', '111'],
      ['queue', '--limit', '122'],
    ]) {
      await expectSame(relay, argv);
    }
  });

  test('without mail says the same, too', async () => {
    const relay = await startElsewhere();
    for (const argv of [['queue'], ['suppressions'], ['stats']]) {
      const [file, url] = [await relay.local(argv, { tty: true }), await relay.remote(argv, { tty: true })];
      expect(url).toEqual(file);
    }
    expect((await relay.remote(['tail'])).out).toBe('');
  });

  test('is down: a route that failed before is told in the trace', async () => {
    const relay = await startElsewhere();
    const { id } = await relay.accept();
    await relay.attempt(REFUSED, { state: 'deferred', dueAt: NOW + 90_000, route: 'ses', byDestination: false });
    await relay.store.queue.routeChanged({
      type: 'route.down',
      route: 'ses',
      reason: 'refused',
      at: relay.clock.now(),
    });
    await expectSame(relay, ['trace', id]);
  });
});
