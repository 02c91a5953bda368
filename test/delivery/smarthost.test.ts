import { expect, test } from 'vitest';
import { bench, CONTENT } from './fixture.ts';

test('a message that the next hop takes is delivered, with what it said', async () => {
  const { hop, deliver } = await bench();
  const outcome = await deliver();
  expect(outcome).toMatchObject({
    kind: 'delivered',
    stage: 'dot',
    code: 250,
    enhanced: '2.0.0',
    response: 'Ok: queued as 1-1',
    nextHop: `127.0.0.1:${hop.port}`,
    tls: null,
  });
  expect(hop.messages[0]?.content.toString()).toBe(CONTENT);
});
