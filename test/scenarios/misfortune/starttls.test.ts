/**
 * A next hop whose STARTTLS does not come about: not offered, refused, answered with garbage, a handshake that fails or never
 * ends. The route demands TLS, so nothing of the message and no password goes to it in the clear.
 */
import { expect } from 'vitest';
import {
  type Behaviour,
  DEFAULT_EXTENSIONS,
  hangUp,
  type Hook,
  raw,
  rawAndHangUp,
  reply,
  stall,
} from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';

/** 220, and `how` once the handshake has begun. */
const agreeThen =
  (how: Behaviour): Hook =>
  async ({ hop, say }) => {
    const before = hop.octets();
    say('220 2.0.0 go ahead\r\n');
    await hop.until(() => hop.octets() > before);
    return how;
  };
const login = { username: 'relay', password: 'swordfish' };
const withLogin: Pick<Fault, 'hop' | 'firstRoute'> = { hop: { tls: 'starttls', auth: login }, firstRoute: login };
/** All that it usually offers, but STARTTLS. */
const stripped = reply(
  `250-next-hop.test\n${DEFAULT_EXTENSIONS.map((keyword) => `250-${keyword}`).join('\n')}\n250 HELP`,
);

const FAULTS: readonly Pick<Fault, 'what' | 'how' | 'recorded' | 'hop' | 'firstRoute'>[] = [
  {
    what: 'STARTTLS that is not offered',
    how: reply('502 5.5.1 not implemented'),
    hop: { tls: 'starttls', on: { EHLO: stripped } },
    firstRoute: {},
    recorded: { code: null, response: expect.stringContaining('does not offer STARTTLS, and the route requires it') },
  },
  { what: 'STARTTLS that is refused', how: reply('454 4.7.0 TLS not available'), recorded: { code: 454 } },
  { what: 'STARTTLS answered with garbage', how: raw('\u0000\u00ff what?\r\n'), recorded: { code: null } },
  { what: 'STARTTLS answered by an end', how: hangUp, recorded: { code: null } },
  {
    what: 'STARTTLS answered with more than was asked',
    how: raw('220 2.0.0 go ahead\r\n250 2.1.0 injected\r\n'),
    recorded: { code: null, response: expect.stringContaining('answered before it was asked') },
  },
  {
    what: 'garbage in place of a handshake',
    how: agreeThen(rawAndHangUp('this is not TLS\r\n')),
    recorded: { code: null, response: expect.stringMatching(/^TLS with 127\.0\.0\.1:\d+ failed/) },
  },
  {
    what: 'an end in the handshake',
    how: agreeThen(hangUp),
    recorded: { code: null },
  },
  {
    what: 'a handshake that hangs',
    how: agreeThen(stall),
    recorded: { code: null, response: expect.stringMatching(/was not agreed on within 10000 ms$/) },
  },
];

stageFaults(
  'a next hop without the TLS that the route demands:',
  FAULTS.map(
    ({ recorded, ...fault }): Fault => ({
      at: 'STARTTLS',
      ...withLogin,
      ...fault,
      recorded: { stage: 'starttls', cause: 'tls', tls: null, ...recorded },
      also({ first }) {
        const verbs = new Set(first.lines.map(({ line }) => line.split(' ')[0]));
        for (const verb of ['AUTH', 'MAIL', 'RCPT', 'DATA']) expect(verbs).not.toContain(verb);
      },
    }),
  ),
  { fast: 10 },
);
