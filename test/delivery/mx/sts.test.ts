/** MTA-STS end to end: a zone, a policy server with a certificate, a store. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createMxLookup } from '../../../src/delivery/mx/create-lookup.ts';
import { createStsPolicies, type StsDeps } from '../../../src/delivery/mx/create-sts.ts';
import type { StsPolicies } from '../../../src/delivery/mx/sts.ts';
import type { StsRecord } from '../../../src/store/store.ts';
import { HTTP_FLOODS } from '../../support/flood.ts';
import { createManualClock, type ManualClock } from '../../support/clock.ts';
import { type DnsZone, startDnsServer, type TestDnsServer } from '../../support/dns-server.ts';
import { makeTestCertificate, type TestCertificate } from '../../support/next-hop-certificate.ts';
import { type StsAnswer, startStsServer, type TestStsServer } from '../../support/sts-server.ts';

const NEVER = new AbortController().signal;
const START = Date.UTC(2026, 0, 5);
const DAY = 86_400_000;

const ENFORCE = 'version: STSv1\nmode: enforce\nmx: mx.a.test\nmx: *.b.test\nmax_age: 864000\n';
const TESTING = ENFORCE.replace('enforce', 'testing');
const NONE = 'version: STSv1\nmode: none\nmax_age: 864000\n';

let certificate: TestCertificate;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  certificate = await makeTestCertificate({ names: ['mta-sts.a.test'] });
});

afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

interface Setup {
  readonly policies: StsPolicies;
  readonly dns: TestDnsServer;
  readonly web: TestStsServer;
  readonly clock: ManualClock;
  readonly stored: Map<string, StsRecord>;
  readonly logged: string[];
  /** The same domain, store and servers after a restart of the relay. */
  restart(changes?: Partial<StsDeps>): StsPolicies;
}

interface SetupOptions {
  readonly zone?: DnsZone;
  readonly answer?: StsAnswer;
  readonly certificate?: TestCertificate;
  readonly changes?: Partial<StsDeps>;
}

async function setUp(options: SetupOptions = {}): Promise<Setup> {
  const dns = await startDnsServer({
    zone: {
      '_mta-sts.a.test': { TXT: { records: ['v=STSv1; id=1;'], ttl: 1 } },
      'mta-sts.a.test': { A: ['127.0.0.1'] },
      ...options.zone,
    },
    ttl: 1,
    soaMinimum: 1,
  });
  const web = await startStsServer(options.certificate ?? certificate, options.answer ?? { body: ENFORCE });
  closers.push(dns.close, web.close);
  const clock = createManualClock(START);
  const stored = new Map<string, StsRecord>();
  const logged: string[] = [];
  const restart = (changes: Partial<StsDeps> = {}): StsPolicies =>
    createStsPolicies({
      lookup: createMxLookup({ servers: [dns.address], dane: false, clock }),
      store: {
        policy: async (domain) => stored.get(domain) ?? null,
        putPolicy: async (record) => void stored.set(record.domain, record),
        removePolicy: async (domain) => void stored.delete(domain),
      },
      clock,
      log: {
        debug() {},
        info() {},
        warn: (fields) => logged.push(`${String(fields.event)} ${String(fields.reason ?? fields.error)}`),
        error() {},
      },
      ca: (options.certificate ?? certificate).ca,
      allowPrivate: true,
      port: web.port,
      ...options.changes,
      ...changes,
    });
  return { policies: restart(), dns, web, clock, stored, logged, restart };
}

describe('the policy of a domain', () => {
  test('is fetched from its policy host, and names its mail hosts', async () => {
    const { policies, web, stored } = await setUp();
    const policy = await policies.policyFor('a.test', NEVER);
    expect(policy?.mode).toBe('enforce');
    expect(['mx.a.test', 'one.b.test', 'b.test', 'mx.evil.test'].map((host) => policy?.allows(host))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(web.requests).toEqual([`mta-sts.a.test:${web.port} /.well-known/mta-sts.txt`]);
    expect(stored.get('a.test')).toEqual({
      domain: 'a.test',
      id: '1',
      mode: 'enforce',
      mx: ['mx.a.test', '*.b.test'],
      fetchedAt: START,
      expiresAt: START + 10 * DAY,
    });
  });

  test('in mode testing is told apart', async () => {
    const { policies } = await setUp({ answer: { body: TESTING } });
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('testing');
  });

  test('in mode none has no effect, and is not fetched for each mail', async () => {
    const { policies, web } = await setUp({ answer: { body: NONE } });
    expect(await policies.policyFor('a.test', NEVER)).toBeNull();
    expect(await policies.policyFor('a.test', NEVER)).toBeNull();
    expect(web.requests.length).toBe(1);
  });

  test('is fetched once for all the mail, over restarts too', async () => {
    const { policies, web, clock, restart } = await setUp();
    await policies.policyFor('a.test', NEVER);
    await clock.advance(DAY / 2);
    await policies.policyFor('a.test', NEVER);
    expect((await restart().policyFor('a.test', NEVER))?.mode).toBe('enforce');
    expect(web.requests.length).toBe(1);
  });

  test('is fetched once for mail that comes at the same time, one of which gives up', async () => {
    const { policies, web } = await setUp();
    const abort = new AbortController();
    const gone = policies.policyFor('a.test', abort.signal);
    const others = [policies.policyFor('a.test', NEVER), policies.policyFor('a.test', NEVER)];
    abort.abort(new Error('over'));
    await expect(gone).rejects.toThrow('over');
    expect((await Promise.all(others)).map((policy) => policy?.mode)).toEqual(['enforce', 'enforce']);
    expect(web.requests.length).toBe(1);
  });

  test('is fetched anew when the id changes', async () => {
    const { policies, web, dns, clock } = await setUp();
    await policies.policyFor('a.test', NEVER);
    dns.set('_mta-sts.a.test', 'TXT', ['v=STSv1; id=2;']);
    web.set({ body: TESTING });
    await clock.advance(1000);
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('testing');
    expect(web.requests.length).toBe(2);
  });

  test('is none, and nothing is fetched, without a TXT record', async () => {
    const { policies, web, dns } = await setUp();
    dns.set('_mta-sts.a.test', 'TXT', null);
    expect(await policies.policyFor('a.test', NEVER)).toBeNull();
    expect(web.requests).toEqual([]);
  });

  test.each([
    ['the TXT record is gone', (setup: Setup) => setup.dns.set('_mta-sts.a.test', 'TXT', null)],
    [
      'there are two TXT records',
      (setup: Setup) => setup.dns.set('_mta-sts.a.test', 'TXT', ['v=STSv1; id=1;', 'v=STSv1; id=2;']),
    ],
    ['DNS is out of order', (setup: Setup) => setup.dns.set('_mta-sts.a.test', 'TXT', 'servfail')],
    [
      'the id has changed and the fetch fails',
      (setup: Setup) => {
        setup.dns.set('_mta-sts.a.test', 'TXT', ['v=STSv1; id=2;']);
        setup.web.set({ status: 500 });
      },
    ],
    [
      'the id has changed and the new policy is malformed',
      (setup: Setup) => {
        setup.dns.set('_mta-sts.a.test', 'TXT', ['v=STSv1; id=2;']);
        setup.web.set({ body: 'hello' });
      },
    ],
    [
      'the policy host is gone',
      (setup: Setup) => {
        setup.dns.set('_mta-sts.a.test', 'TXT', ['v=STSv1; id=2;']);
        setup.dns.set('mta-sts.a.test', 'A', null);
      },
    ],
  ])('stays in force when %s, until it expires', async (_what, change) => {
    const setup = await setUp();
    await setup.policies.policyFor('a.test', NEVER);
    change(setup);
    await setup.clock.advance(10 * DAY - 1);
    expect((await setup.policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
    expect((await setup.restart().policyFor('a.test', NEVER))?.mode).toBe('enforce');
    await setup.clock.advance(1);
    expect(await setup.policies.policyFor('a.test', NEVER)).toBeNull();
    expect(setup.stored.size).toBe(0);
  });

  test('ends when the domain changes it to none', async () => {
    const { policies, web, dns, clock } = await setUp();
    await policies.policyFor('a.test', NEVER);
    dns.set('_mta-sts.a.test', 'TXT', ['v=STSv1; id=2;']);
    web.set({ body: NONE });
    await clock.advance(1000);
    expect(await policies.policyFor('a.test', NEVER)).toBeNull();
  });

  test('is fetched anew beside the mail after a day, and its life starts again', async () => {
    const { policies, web, clock, stored } = await setUp();
    await policies.policyFor('a.test', NEVER);
    await clock.advance(DAY);
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
    await web.requested(2);
    while (stored.get('a.test')?.fetchedAt === START) await new Promise((resolve) => setImmediate(resolve));
    expect(stored.get('a.test')?.expiresAt).toBe(START + 11 * DAY);
  });

  test('with a short life is fetched anew in its second half', async () => {
    const { policies, web, clock } = await setUp({ answer: { body: ENFORCE.replace('864000', '7200') } });
    await policies.policyFor('a.test', NEVER);
    await clock.advance(3_599_999);
    await policies.policyFor('a.test', NEVER);
    expect(web.requests.length).toBe(1);
    await clock.advance(1);
    await policies.policyFor('a.test', NEVER);
    await web.requested(2);
  });

  test('with max_age 0 holds for a minute', async () => {
    const { policies, web, clock } = await setUp({ answer: { body: ENFORCE.replace('864000', '0') } });
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
    await policies.policyFor('a.test', NEVER);
    expect(web.requests.length).toBe(1);
    await clock.advance(60_000);
    await policies.policyFor('a.test', NEVER);
    expect(web.requests.length).toBe(2);
  });

  test('is there although the store can neither be read nor written, and the log says so', async () => {
    const broken = (): Promise<never> => Promise.reject(new Error('disk on fire'));
    const { policies, web, logged } = await setUp({
      changes: { store: { policy: broken, putPolicy: broken, removePolicy: broken } },
    });
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
    expect(web.requests.length).toBe(1);
    expect(logged).toContain('mx.sts-store disk on fire');
  });
});

describe('a policy that cannot be fetched', () => {
  test.each<[string, SetupOptions, string]>([
    ['a redirect', { answer: { status: 301, location: 'https://mta-sts.a.test/', body: ENFORCE } }, 'HTTP status 301'],
    ['404', { answer: { status: 404, body: ENFORCE } }, 'HTTP status 404'],
    ['another 2xx', { answer: { status: 203, body: ENFORCE } }, 'HTTP status 203'],
    ['a web page', { answer: { contentType: 'text/html', body: ENFORCE } }, 'content type'],
    ['a type that only begins like text', { answer: { contentType: 'text/plainly', body: ENFORCE } }, 'content type'],
    ['too large a body', { answer: { body: ENFORCE + 'x: y\n'.repeat(20_000) } }, 'larger than 65536'],
    ['a body in chunks of one octet without an end', { answer: { floods: HTTP_FLOODS.chunks } }, 'larger than 65536'],
    ['interim answers without an end', { answer: { floods: HTTP_FLOODS.interim } }, 'more than 16 interim answers'],
    ['a body that ends early', { answer: { body: ENFORCE, breaks: true } }, 'policy of mta-sts.a.test'],
    ['a malformed policy', { answer: { body: 'mode: enforce' } }, '`version`'],
    ['no address of the policy host', { zone: { 'mta-sts.a.test': { TXT: ['x'] } } }, 'has no address'],
    ['DNS trouble with the policy host', { zone: { 'mta-sts.a.test': { ANY: 'servfail' } } }, 'SERVFAIL'],
    ['a policy host in a private network', { changes: { allowPrivate: false } }, 'private networks'],
    ['an unknown authority', { changes: { ca: null } }, 'certificate'],
  ])(
    'because of %s is no policy, the log says why, and mail does not wait for it again',
    async (_what, options, text) => {
      const { policies, web, logged, clock, dns } = await setUp(options);
      expect(await policies.policyFor('a.test', NEVER)).toBeNull();
      expect(logged.join()).toContain(text);
      const tries = web.requests.length;
      await clock.advance(299_000);
      expect(await policies.policyFor('a.test', NEVER)).toBeNull();
      expect([web.requests.length, logged.length]).toEqual([tries, 1]);
      // Later it is tried again, and when the domain says that something is new, at once.
      dns.set('_mta-sts.a.test', 'TXT', ['v=STSv1; id=2;']);
      await clock.advance(1000);
      await policies.policyFor('a.test', NEVER);
      expect(logged.length).toBe(2);
    },
  );

  test('because the certificate is for another name is no policy', async () => {
    const { policies, logged, web } = await setUp({
      certificate: await makeTestCertificate({ names: ['a.test', 'www.a.test'] }),
    });
    expect(await policies.policyFor('a.test', NEVER)).toBeNull();
    expect(logged.join()).toContain("does not match certificate's altnames");
    expect(web.requests).toEqual([]);
  });

  test('because the certificate has expired is no policy', async () => {
    const expired = await makeTestCertificate({
      names: ['mta-sts.a.test'],
      notAfter: new Date(Date.now() - 3_600_000),
    });
    const { policies, logged } = await setUp({ certificate: expired });
    expect(await policies.policyFor('a.test', NEVER)).toBeNull();
    expect(logged.join()).toContain('expired');
  });

  test('because the server never ends its answer is given up', async () => {
    const { policies, web, clock, logged } = await setUp({ answer: { body: ENFORCE, stalls: true } });
    const asked = policies.policyFor('a.test', NEVER);
    await web.requested(1);
    await clock.advance(10_000);
    expect(await asked).toBeNull();
    expect(logged.join()).toContain('not there within 4000 ms');
  });

  test('is tried again after five minutes', async () => {
    const { policies, web, clock } = await setUp({ answer: { status: 500 } });
    await policies.policyFor('a.test', NEVER);
    web.set({ body: ENFORCE });
    await clock.advance(300_000);
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
  });

  test('ends with the reason of the abort', async () => {
    const { policies, web } = await setUp({ answer: { body: ENFORCE, stalls: true } });
    const abort = new AbortController();
    const asked = policies.policyFor('a.test', abort.signal);
    await web.requested(1);
    abort.abort(new Error('over'));
    await expect(asked).rejects.toThrow('over');
  });

  test('leaves no connection behind', async () => {
    const { policies, web } = await setUp({ answer: { body: ENFORCE, stalls: true } });
    const abort = new AbortController();
    const asked = policies.policyFor('a.test', abort.signal);
    await web.requested(1);
    abort.abort(new Error('over'));
    await expect(asked).rejects.toThrow('over');
    await web.deserted();
  });

  test('at one address is fetched from the next', async () => {
    const { policies } = await setUp({ zone: { 'mta-sts.a.test': { A: ['127.0.0.1'], AAAA: ['::1'] } } });
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
  });

  test('is not asked for at further addresses once it is there', async () => {
    const { policies } = await setUp({ zone: { 'mta-sts.a.test': { A: ['127.0.0.1', '127.0.0.2'] } } });
    expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
  });

  test('without a content type, or with parameters to it, is taken', async () => {
    for (const contentType of [null, 'Text/Plain; charset=utf-8']) {
      const { policies } = await setUp({ answer: { body: ENFORCE, contentType } });
      expect((await policies.policyFor('a.test', NEVER))?.mode).toBe('enforce');
    }
  });
});
