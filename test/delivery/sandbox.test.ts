import { expect, test } from 'vitest';
import { createSandboxTransport } from '../../src/delivery/sandbox.ts';
import { requestFor } from './fixture.ts';

test('the sandbox delivers every message at once and says that it captured it', async () => {
  const sandbox = createSandboxTransport();
  expect(await sandbox.deliver(requestFor(), new AbortController().signal)).toEqual({
    kind: 'delivered',
    stage: 'dot',
    nextHop: 'sandbox',
    tls: null,
    code: 250,
    enhanced: '2.0.0',
    response: 'captured by the sandbox',
    timings: { transaction: 0 },
  });
  expect(sandbox.rate).toBe(null);
  expect(sandbox.capacity).toBeGreaterThan(0);
  await sandbox.stop();
});
