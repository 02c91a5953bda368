/** A next hop that resets or closes the connection as soon as it stands. */
import { expect } from 'vitest';
import { hangUp, reset } from '../../support/next-hop.ts';
import { stageFaults } from './faults.ts';

stageFaults('a next hop that does not stay', [
  {
    what: 'a reset after the connection',
    at: 'connect',
    how: reset,
    // The reset may be there before the connection is known to stand.
    recorded: {
      stage: expect.stringMatching(/^(?:connect|greeting)$/),
      cause: expect.stringMatching(/^(?:connect|route)$/),
      code: null,
    },
  },
  {
    what: 'an end without a greeting',
    at: 'connect',
    how: hangUp,
    recorded: { stage: 'greeting', cause: 'route', code: null },
  },
]);
