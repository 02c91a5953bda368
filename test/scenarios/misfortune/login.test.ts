/**
 * A next hop that does not let the relay log in. It is the route's fault, and never a bounce; nothing is sent without the
 * login, and the password stands in no record, whatever the hop says about it.
 */
import { describe, expect, it } from 'vitest';
import { hangUp, reply, replyAndHangUp, stall, type NextHopOptions } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';
import { useStage } from './stage.ts';

const PASSWORD = 'swordfish-4711';
const login = { username: 'relay', password: PASSWORD };
const hop: NextHopOptions = { auth: login };

const FAULTS: readonly Pick<Fault, 'what' | 'at' | 'how' | 'recorded'>[] = [
  {
    what: 'AUTH refused with 535',
    at: 'AUTH',
    how: reply(`535 5.7.8 relay:${PASSWORD} is not known here`),
    recorded: { stage: 'auth', cause: 'auth', code: 535, response: expect.stringContaining('is not known here') },
  },
  {
    what: 'AUTH put off with 454',
    at: 'AUTH',
    how: reply('454 4.7.0 temporary authentication failure'),
    recorded: { stage: 'auth', cause: 'auth', code: 454 },
  },
  {
    what: 'AUTH that is not offered',
    at: 'EHLO',
    how: reply('250-next-hop.test\n250-PIPELINING\n250 8BITMIME'),
    recorded: { stage: 'auth', cause: 'auth', code: null, response: expect.stringContaining('offers no AUTH') },
  },
  {
    what: 'AUTH of a kind that is not spoken',
    at: 'EHLO',
    how: reply('250-next-hop.test\n250 AUTH GSSAPI SCRAM-SHA-512'),
    recorded: {
      stage: 'auth',
      cause: 'auth',
      code: null,
      response: expect.stringContaining('PLAIN or LOGIN is needed'),
    },
  },
  {
    what: 'a connection that ends at AUTH',
    at: 'AUTH',
    how: hangUp,
    recorded: { stage: 'auth', cause: 'route', code: null },
  },
  {
    what: '421 at AUTH',
    at: 'AUTH',
    how: replyAndHangUp('421 4.7.0 too many logins'),
    recorded: { stage: 'auth', cause: 'route', code: 421 },
  },
  {
    what: 'AUTH that is never answered',
    at: 'AUTH',
    how: stall,
    recorded: { stage: 'auth', cause: 'route', code: null, response: expect.stringContaining('within 10000 ms') },
  },
];

stageFaults(
  'a next hop with',
  FAULTS.map(
    (fault): Fault => ({
      ...fault,
      hop,
      firstRoute: login,
      also: ({ first }) => expect(first.reached('MAIL')).toBe(0),
    }),
  ),
  { fast: 10, secrets: [PASSWORD] },
);

describe('a next hop that has another password than the config', () => {
  const firstRoute = { username: 'relay', password: PASSWORD };
  const stage = useStage(
    { alone: { first: { auth: { username: 'relay', password: 'the new one' } }, firstRoute, alone: true } },
    { fast: 10, secrets: [PASSWORD] },
  );

  it('is down, holds the mail and loses none; it arrives when the config has the right one', async () => {
    const scene = stage().scene('alone');
    const mails = [
      await scene.send({ to: ['ann'] }),
      await scene.send({ to: ['ben'] }),
      await scene.send({ to: ['cia'] }),
    ];
    await mails[0]?.when(({ attempts }) => attempts.length > 0, 'ann');
    await scene.told('route.down');
    expect(await scene.routeEvents()).toMatchObject([
      { type: 'route.down', data: { route: { reason: expect.stringMatching(/^auth: /) } } },
    ]);
    const { code, stdout } = await stage().home.cli(['queue', 'list', '--json']);
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(3);
    expect(scene.first.reached('MAIL')).toBe(0);

    await stage().reconfigure('alone', { password: 'the new one' });
    for (const [index, local] of ['ann', 'ben', 'cia'].entries()) {
      const story = await mails[index]?.end(local);
      expect(story).toMatchObject({ state: 'delivered', copies: { first: 1 } });
      for (const attempt of story?.attempts.slice(0, -1) ?? []) {
        expect(attempt).toMatchObject({ outcome: 'deferred', stage: 'auth', cause: 'auth', code: 535 });
      }
    }
    expect(scene.first.accepted()).toHaveLength(3);
  }, 30_000);
});
