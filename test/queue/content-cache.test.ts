import { describe, expect, it } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import { createContentCache } from '../../src/queue/content-cache.ts';
import { createManualClock } from '../support/clock.ts';

const ids = createIds(createManualClock(1));

describe('the content cache', () => {
  it('keeps content until the last delivery of its message is final', () => {
    const cache = createContentCache(100);
    const id = ids.message();
    cache.put(id, Buffer.from('hello'), 2);
    cache.settled(id);
    expect(cache.get(id)).not.toBeNull();
    cache.settled(id);
    expect(cache.get(id)).toBeNull();
  });

  it('gives room to the newest by forgetting the oldest', () => {
    const cache = createContentCache(10);
    const [first, second] = [ids.message(), ids.message()];
    cache.put(first, Buffer.alloc(6), 1);
    cache.put(second, Buffer.alloc(6), 1);
    expect([cache.get(first), cache.get(second)?.length]).toEqual([null, 6]);
  });

  it('does not push everything out for one message that is larger than itself', () => {
    const cache = createContentCache(10);
    const small = ids.message();
    cache.put(small, Buffer.alloc(6), 1);
    cache.put(ids.message(), Buffer.alloc(11), 1);
    expect(cache.get(small)).not.toBeNull();
  });

  it('has its room back after a message that was not accepted', () => {
    const cache = createContentCache(10);
    const [refused, next] = [ids.message(), ids.message()];
    cache.put(refused, Buffer.alloc(10), 1);
    cache.forget(refused);
    cache.put(next, Buffer.alloc(10), 1);
    expect([cache.get(refused), cache.get(next)?.length]).toEqual([null, 10]);
  });
});
