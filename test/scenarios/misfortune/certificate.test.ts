/**
 * A next hop whose certificate does not do: for another name, expired, of an authority that is not known. Not a word of the
 * message is said to it, in the clear least of all; it goes over the other route, or waits until the fault is mended.
 */
import { describe, expect, it } from 'vitest';
import { makeTestCertificate, type TestCertificate } from '../../support/next-hop-certificate.ts';
import type { NextHopOptions } from '../../support/next-hop.ts';
import { type Scene, type SceneSpec, useStage } from './stage.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const good = await makeTestCertificate();
const yesterday = new Date(Date.now() - DAY_MS / 2);

const BAD: Readonly<Record<string, { readonly certificate: TestCertificate; readonly says: string }>> = {
  'a certificate for another name': {
    certificate: await makeTestCertificate({ names: ['other.example.org'] }),
    says: 'ERR_TLS_CERT_ALTNAME_INVALID',
  },
  'a certificate that has expired': {
    certificate: await makeTestCertificate({ notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: yesterday }),
    says: 'CERT_HAS_EXPIRED',
  },
};
const MODES = ['starttls', 'implicit'] as const;
const CASES = Object.entries(BAD).flatMap(([what, { certificate, says }]) =>
  MODES.map((mode) => ({ name: `${what} (${mode})`, certificate, says, mode })),
);

const refused = (says: string): Readonly<Record<string, unknown>> => ({
  route: 'first',
  outcome: 'deferred',
  stage: 'starttls',
  cause: 'tls',
  code: null,
  tls: null,
  response: expect.stringContaining(says),
});

/** Nothing of the message was said to it: at most greeting, EHLO, STARTTLS. */
function saidNothing({ first }: Scene): void {
  expect(
    first.lines.map(({ line }) => line.split(' ')[0]).filter((verb) => verb !== 'EHLO' && verb !== 'STARTTLS'),
  ).toEqual([]);
}

describe('a next hop with', () => {
  const specOf = (mode: 'starttls' | 'implicit', certificate: TestCertificate): SceneSpec => ({
    first: { tls: mode, certificate },
    ...(mode === 'implicit' ? { firstRoute: { tls: 'implicit' } } : {}),
  });
  const stage = useStage(
    Object.fromEntries(
      CASES.flatMap(({ name, mode, certificate }): [string, SceneSpec][] => [
        [name, specOf(mode, certificate)],
        [`${name}, alone`, { ...specOf(mode, certificate), alone: true }],
      ]),
    ),
    { fast: 10 },
  );

  it.concurrent.each(CASES)(
    '$name gets nothing: the message goes over the other route at once',
    async ({ name, says }) => {
      const scene = stage().scene(name);
      expect(await (await scene.send()).end()).toMatchObject({
        state: 'delivered',
        events: [
          { type: 'message.accepted' },
          { type: 'message.delivered', data: { attempt: { route: 'second' }, failed_over: [refused(says)] } },
        ],
        attempts: [refused(says), { route: 'second', outcome: 'delivered' }],
        copies: { first: 0, second: 1 },
      });
      saidNothing(scene);
    },
  );

  it.concurrent.each(CASES)(
    '$name holds mail up where there is no other route, the route is told to be down, and all arrives when it is mended',
    async ({ name, says, mode }) => {
      const scene = stage().scene(`${name}, alone`);
      const mail = await scene.send();
      const waiting = await mail.when(({ attempts }) => attempts.length >= 3);
      expect(waiting.state).toBe('deferred');
      for (const attempt of waiting.attempts) expect(attempt).toMatchObject(refused(says));
      saidNothing(scene);
      expect(await scene.routeEvents()).toMatchObject([
        { type: 'route.down', data: { route: { reason: expect.stringContaining(says) } } },
      ]);
      await scene.takeDown();
      const mended: NextHopOptions = { tls: mode, certificate: good };
      await scene.bringBack(mended);
      expect(await mail.end()).toMatchObject({ state: 'delivered', copies: { first: 1 } });
      expect(scene.first.messages[0]?.tls).toMatch(/^TLSv1/);
      expect((await scene.routeEvents()).map(({ type }) => type)).toEqual(['route.down', 'route.up']);
    },
    30_000,
  );
});

describe('a next hop with a certificate of an unknown authority', () => {
  const first = { tls: 'starttls', certificate: good } as const;
  // The system's authorities: the test's own is none of them.
  const firstRoute = { ca: null };
  const stage = useStage({ pair: { first, firstRoute }, alone: { first, firstRoute, alone: true } }, { fast: 10 });
  const UNKNOWN = refused('(set ca or servername of the route)');

  it('gets nothing: the message goes over the other route at once', async () => {
    const scene = stage().scene('pair');
    expect(await (await scene.send()).end()).toMatchObject({
      state: 'delivered',
      attempts: [UNKNOWN, { route: 'second', outcome: 'delivered' }],
      copies: { first: 0, second: 1 },
    });
    saidNothing(scene);
  });

  it('gets what waited as soon as the config knows the authority', async () => {
    const scene = stage().scene('alone');
    const mail = await scene.send();
    expect((await mail.when(({ attempts }) => attempts.length > 0)).attempts[0]).toMatchObject(UNKNOWN);
    saidNothing(scene);
    await stage().reconfigure('alone', { ca: 's1-first.pem' });
    expect(await mail.end()).toMatchObject({ state: 'delivered', copies: { first: 1 } });
  });
});
