/**
 * Webhooks whose names nobody answers for hold up no mail: looking up a name occupies a thread of a small pool, for as long as the
 * system's resolver waits, and the routes' names are looked up there too.
 *
 * The relay gets a resolv.conf of its own (a mount namespace, which wants root); the DNS server behind it knows the next hop alone.
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decode, encode, RECURSION_AVAILABLE } from 'dns-packet';
import { type NextHop, startNextHop } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';
import { submit } from '../support/submit.ts';
import { secretText } from '../support/webhook-receiver.ts';

/** Port 53 is the only one that resolv.conf knows. */
const DNS_ADDRESS = '127.0.53.7';
const ENDPOINTS = 5;

let dns: dgram.Socket;
let hop: NextHop;
let home: RelayHome;
let relay: RelayProcess | null = null;
let unanswered = 0;

beforeEach(async () => {
  unanswered = 0;
  dns = dgram.createSocket('udp4');
  dns.on('message', (message, { port, address }) => {
    const query = decode(message);
    const [question] = query.questions ?? [];
    if (question === undefined || !question.name.endsWith('hop.test')) {
      unanswered++;
      return;
    }
    const answers =
      question.type === 'A' ? [{ type: 'A' as const, name: question.name, ttl: 0, data: '127.0.0.1' }] : [];
    const reply = { type: 'response' as const, id: query.id ?? 0, flags: RECURSION_AVAILABLE, questions: [question] };
    dns.send(encode({ ...reply, answers }), port, address);
  });
  dns.bind(53, DNS_ADDRESS);
  await once(dns, 'listening');
  // A connection that is kept needs no look-up.
  hop = await startNextHop({ on: { dot: { kind: 'say', octets: '250 2.0.0 taken\r\n', thenHangUp: true } } });
  home = await createRelayHome(
    sandboxConfig({
      routes: { out: { type: 'smtp', host: 'hop.test', port: hop.port, tls: 'none' } },
      rules: [{ name: 'default', via: ['out'] }],
      webhooks: Array.from({ length: ENDPOINTS }, (_, i) => ({
        name: `dead-${i}`,
        url: `https://dead-${i}.test/hook`,
        secret: secretText(),
      })),
    }),
  );
  await writeFile(path.join(home.dir, 'resolv.conf'), `nameserver ${DNS_ADDRESS}\n`);
});

afterEach(async () => {
  await relay?.kill9();
  relay = null;
  dns.close();
  await hop.close();
  await home.remove();
});

test('mail goes out at once while the names of five webhook endpoints are looked up in vain', async () => {
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  const wrap = ['unshare', '-m', 'sh', '-c', script, path.join(home.dir, 'resolv.conf')];
  relay = await home.start({ wrap, env: { UV_THREADPOOL_SIZE: '5' } });
  const waits: number[] = [];
  for (let i = 1; i <= 4; i++) {
    const beganAt = performance.now();
    await submit(relay.smtpPort, { to: `ann-${i}@example.net` });
    await until(() => hop.messages.length === i, 'the mail', 60_000);
    waits.push(Math.round(performance.now() - beganAt));
    await until(() => unanswered > i, 'a look-up of a webhook', 30_000);
  }
  expect(waits.filter((ms) => ms > 1500)).toEqual([]);
}, 120_000);
