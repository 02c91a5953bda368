/**
 * A next hop that answers 4xx or 5xx, at each step. Before MAIL it speaks of itself: another route is tried. At RCPT it speaks
 * of the recipient and after the dot of the message: no other route would hear anything else, so the message stays. A 4xx to
 * MAIL or DATA says nothing of either; a 5xx there is about the message.
 */
import { describe, expect, it } from 'vitest';
import { once, reply, type Step } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';
import { type SceneSpec, useStage } from './stage.ts';

const OF_THE_ROUTE: readonly (readonly [at: Step, stage: string, text: string, code: number])[] = [
  ['connect', 'greeting', '450 4.3.2 not now', 450],
  ['connect', 'greeting', '554 5.3.2 no SMTP service here', 554],
  ['MAIL', 'mail', '451 4.3.0 temporary trouble', 451],
  ['DATA', 'data', '451 4.3.0 temporary trouble', 451],
];

stageFaults(
  'a refusal that is about the route',
  OF_THE_ROUTE.map(
    ([at, stage, text, code]): Fault => ({
      what: `${text.slice(0, 9)} at ${at}`,
      at,
      how: reply(text),
      recorded: { stage, cause: 'route', code, enhanced: text.slice(4, 9) },
    }),
  ),
);

interface Refusal {
  readonly at: Step;
  readonly stage: string;
  readonly text: string;
  readonly cause: string;
  /** The class of the bounce; absent: it is retried. */
  readonly bounce?: string;
}

const ABOUT_THE_MESSAGE: readonly Refusal[] = [
  { at: 'RCPT', stage: 'rcpt', text: '450 4.2.1 mailbox busy', cause: 'recipient' },
  { at: 'RCPT', stage: 'rcpt', text: '452 4.2.2 mailbox full', cause: 'recipient' },
  { at: 'dot', stage: 'dot', text: '451 4.3.0 scanner is busy', cause: 'content' },
  { at: 'dot', stage: 'dot', text: '421 4.3.2 closing', cause: 'route' },
  { at: 'MAIL', stage: 'mail', text: '550 5.7.1 sender on our blocklist', cause: 'content', bounce: 'reputation' },
  { at: 'RCPT', stage: 'rcpt', text: '550 5.1.1 no such user', cause: 'recipient', bounce: 'recipient' },
  { at: 'DATA', stage: 'data', text: '554 5.7.1 message refused by policy', cause: 'content', bounce: 'policy' },
  { at: 'dot', stage: 'dot', text: '554 5.6.0 malformed content', cause: 'content', bounce: 'content' },
];

describe('a refusal that is about the message or its recipient', () => {
  const nameOf = ({ at, text }: Refusal): string => `${text.slice(0, 9)} at ${at}`;
  const stage = useStage(
    Object.fromEntries(
      ABOUT_THE_MESSAGE.map((refusal): [string, SceneSpec] => [
        nameOf(refusal),
        { first: { on: { [refusal.at]: once(reply(refusal.text)) } } },
      ]),
    ),
  );
  const recorded = ({ stage: at, text, cause, bounce }: Refusal) => ({
    route: 'first',
    outcome: bounce === undefined ? 'deferred' : 'rejected',
    stage: at,
    cause,
    code: Number(text.slice(0, 3)),
    enhanced: text.slice(4, 9),
  });

  it.concurrent.each(
    ABOUT_THE_MESSAGE.filter(({ bounce }) => bounce === undefined).map(
      (refusal) => [nameOf(refusal), refusal] as const,
    ),
  )('%s keeps it on its route, and it is tried there again', async (name, refusal) => {
    const story = await (await stage().scene(name).send()).end();
    expect(story).toMatchObject({
      state: 'delivered',
      events: [
        { type: 'message.accepted' },
        { type: 'message.deferred', data: { attempt: recorded(refusal) } },
        { type: 'message.delivered', data: { attempt: { route: 'first', code: 250 } } },
      ],
      attempts: [recorded(refusal), { route: 'first', outcome: 'delivered' }],
      copies: { first: 1, second: 0 },
    });
    expect(story.events[1]?.data.failed_over).toBeUndefined();
  });

  it.concurrent.each(
    ABOUT_THE_MESSAGE.filter(({ bounce }) => bounce !== undefined).map(
      (refusal) => [nameOf(refusal), refusal] as const,
    ),
  )('%s is its end', async (name, refusal) => {
    const scene = stage().scene(name);
    const story = await (await scene.send()).end();
    expect(story).toMatchObject({
      state: 'bounced',
      bounce: refusal.bounce,
      events: [
        { type: 'message.accepted' },
        { type: 'message.bounced', data: { attempt: recorded(refusal), bounce: { class: refusal.bounce } } },
      ],
      attempts: [recorded(refusal)],
      copies: { first: 0, second: 0 },
    });
    // Only an address that does not exist is not written to again for a time.
    const until = story.events[1]?.data.bounce?.suppressed_until;
    expect(until === undefined).toBe(refusal.bounce !== 'recipient');
    expect(scene.second.connections()).toBe(0);
    expect(await scene.routeEvents()).toEqual([]);
  });
});
