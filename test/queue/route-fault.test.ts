import { describe, expect, it } from 'vitest';
import { mayMoveOn, routeHealth } from '../../src/queue/route-fault.ts';
import { DELIVERED, REFUSED_CONNECTION } from './route.ts';

describe('what an outcome says about the route', () => {
  it('is that it works when it delivered', () => {
    expect(routeHealth(DELIVERED)).toBe('works');
  });

  it('is that it works when it refused a recipient', () => {
    expect(routeHealth({ ...REFUSED_CONNECTION, cause: 'recipient', stage: 'rcpt', code: 450 })).toBe('works');
  });

  it('is nothing when the message was found unfit before it was sent', () => {
    expect(routeHealth({ ...REFUSED_CONNECTION, kind: 'rejected', cause: 'content', code: null })).toBe('unknown');
  });

  it('is nothing when the relay gave up by itself', () => {
    expect(routeHealth({ ...REFUSED_CONNECTION, cause: 'local' })).toBe('unknown');
  });

  it('is a fault when the connection broke after the dot, and yet the message stays', () => {
    const outcome = { ...REFUSED_CONNECTION, kind: 'uncertain', cause: 'route', stage: 'dot' } as const;
    expect(routeHealth(outcome)).toBe('fault');
    expect(mayMoveOn(outcome)).toBe(false);
  });
});
