/** An SPF record with what it refers to: what it costs, whom it covers, and that no zone can lead the walk astray. */
import { describe, expect, test } from 'vitest';
import { createAtMost } from '../../src/core/at-most.ts';
import { createDoctorDns, reverseName } from '../../src/doctor/dns.ts';
import { costOf, endOf, evaluate, loadSpf, type SpfNode } from '../../src/doctor/spf-tree.ts';
import fc from '../support/properties.ts';
import { SIGNAL } from './stage.ts';

interface Asked {
  readonly node: SpfNode;
  readonly questions: number;
}

/** Loads `domain` from a zone of SPF records and addresses. */
async function load(
  domain: string,
  spf: Readonly<Record<string, string>>,
  hosts: Readonly<Record<string, string>> = {},
): Promise<Asked> {
  let questions = 0;
  const dns = createDoctorDns(
    {
      async ask(name, type) {
        questions++;
        const common = { name, ttl: 60, class: 'IN' } as const;
        const text = spf[name];
        const address = hosts[name];
        if (type === 'TXT' && text !== undefined) {
          return { kind: 'records', authentic: false, ttlSeconds: 60, records: [{ ...common, type, data: [text] }] };
        }
        if (type === 'A' && address !== undefined) {
          return { kind: 'records', authentic: false, ttlSeconds: 60, records: [{ ...common, type, data: address }] };
        }
        return { kind: 'nxdomain', authentic: false, ttlSeconds: 60 };
      },
    },
    createAtMost(10),
    SIGNAL,
  );
  return { node: await loadSpf(domain, dns), questions };
}

describe('an SPF record', () => {
  test('costs what it and its includes ask for; ip4, ip6 and all are free', async () => {
    const { node } = await load('a.test', {
      'a.test': 'v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 a mx exists:%{i}.x.test ptr include:b.test ?all',
      'b.test': 'v=spf1 a:h.test redirect=c.test',
      'c.test': 'v=spf1 mx -all',
    });
    expect(costOf(node)).toMatchObject({
      lookups: 8,
      byTerm: [{ text: 'include:b.test', lookups: 4 }, {}, {}, {}, {}],
    });
    expect(costOf(node).voids).toBe(4);
  });

  test('ends as its redirect ends, which counts only where there is no all', async () => {
    const zone = {
      'a.test': 'v=spf1 redirect=b.test',
      'c.test': 'v=spf1 redirect=b.test ?all',
      'b.test': 'v=spf1 -all',
    };
    expect(endOf((await load('a.test', zone)).node)).toBe('-');
    const { node } = await load('c.test', zone);
    expect([endOf(node), costOf(node).lookups]).toEqual(['?', 0]);
  });

  test.each([
    ['192.0.2.1', 'v=spf1 ip4:192.0.2.0/31 -all', 'pass'],
    ['192.0.2.2', 'v=spf1 ip4:192.0.2.0/31 -all', 'fail'],
    ['2001:db8::9', 'v=spf1 ip6:2001:db8::/64 -all', 'pass'],
    ['192.0.2.1', 'v=spf1 ip6:::/0 ~all', 'softfail'],
    ['192.0.2.1', 'v=spf1 -ip4:192.0.2.1 +all', 'fail'],
    ['192.0.2.1', 'v=spf1 a:h.test/24 -all', 'pass'],
    ['192.0.2.1', 'v=spf1 a:h.test -all', 'fail'],
    ['192.0.2.1', 'v=spf1 include:soft.test -all', 'fail'],
    ['192.0.2.1', 'v=spf1 include:broken.test -all', 'permerror'],
    ['192.0.2.1', 'v=spf1 include:none.test -all', 'permerror'],
    ['192.0.2.1', 'v=spf1 ptr -all', 'unknown'],
    ['192.0.2.1', 'v=spf1', 'neutral'],
    ['192.0.2.1', 'v=spf1 -all ip4:192.0.2.1', 'fail'],
  ])('for %s, %s: %s', async (address, text, result) => {
    const zone = { 'a.test': text, 'soft.test': 'v=spf1 ~all', 'broken.test': 'v=spf1 ip4:x -all' };
    expect(evaluate((await load('a.test', zone, { 'h.test': '192.0.2.200' })).node, address)).toBe(result);
  });

  test('of any zone is walked in a bounded number of questions, also round in circles', async () => {
    const names = ['a.test', 'b.test', 'c.test', 'd.test'];
    const term = fc.oneof(
      fc.constantFrom(...names.flatMap((name) => [`include:${name}`, `a:${name}`, `mx:${name}`, `redirect=${name}`])),
      fc.constantFrom('-all', '?all', 'ip4:192.0.2.1', 'ptr', 'a', 'mx', 'nonsense', 'include:%{d}'),
    );
    const record = fc.array(term, { maxLength: 12 }).map((terms) => ['v=spf1', ...terms].join(' '));
    await fc.assert(
      fc.asyncProperty(fc.tuple(record, record, record, record), async (records) => {
        const zone = Object.fromEntries(names.map((name, index) => [name, records[index] ?? '']));
        const { node, questions } = await load('a.test', zone);
        // Each of the four names has a TXT, MX, A, AAAA and CNAME to ask for, and each once.
        expect(questions).toBeLessThanOrEqual(names.length * 5);
        evaluate(node, '192.0.2.1');
        costOf(node);
        endOf(node);
      }),
    );
  });

  test('that includes ever new domains is given up far beyond what a receiver follows', async () => {
    const zone = new Proxy<Record<string, string>>(
      {},
      { get: (_, name) => `v=spf1 include:x.${String(name)} include:y.${String(name)} -all` },
    );
    const { node, questions } = await load('a.test', zone);
    expect(questions).toBeLessThan(100);
    expect(costOf(node).lookups).toBeGreaterThan(10);
  });
});

describe('the name of an address', () => {
  test.each([
    ['192.0.2.7', '7.2.0.192.in-addr.arpa'],
    ['2001:db8::567:89ab', 'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'],
  ])('of %s is %s', (address, name) => {
    expect(reverseName(address)).toBe(name);
  });
});
