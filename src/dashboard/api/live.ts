/**
 * What happens as it happens: one stream of events for all views, which ask for their data anew when something came.
 *
 * The browser reconnects by itself, with the number of the last event, so that nothing is missed. At most one new question a
 * second, however many events arrive: a list that moves faster cannot be read.
 */
import { useQueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useRef, useState } from 'react';
import { after, every } from '../lib/clock.ts';

export type LiveState = 'connecting' | 'live' | 'lost';

const REFRESH_MS = 1000;
const RETRY_MS = 5000;

export const LiveContext = createContext<LiveState>('connecting');

export function useLive(): LiveState {
  return useContext(LiveContext);
}

/** Data that changes with every event; the first part of its query keys. */
const MOVING: ReadonlySet<unknown> = new Set(['messages', 'message', 'queue', 'routes', 'flow', 'summary']);

/** Follows the stream while `enabled`; returns how it stands. */
export function useEventStream(enabled: boolean): LiveState {
  const client = useQueryClient();
  const [state, setState] = useState<LiveState>('connecting');
  const [attempt, setAttempt] = useState(0);
  const stale = useRef(false);

  useEffect(() => {
    if (!enabled) return undefined;
    const source = new EventSource('/v1/events/stream');
    let stopRetry = (): void => undefined;
    const note = (): void => {
      stale.current = true;
    };
    source.onopen = () => setState('live');
    source.onerror = () => {
      setState('lost');
      // Closed for good, by an answer that is no stream: the browser leaves it at that, we do not.
      if (source.readyState === EventSource.CLOSED) {
        stopRetry = after(RETRY_MS, () => setAttempt((value) => value + 1));
      }
    };
    source.onmessage = note;
    const stopRefresh = every(REFRESH_MS, () => {
      if (!stale.current || document.visibilityState === 'hidden') return;
      stale.current = false;
      void client.invalidateQueries({ predicate: ({ queryKey }) => MOVING.has(queryKey[0]) });
    });
    return () => {
      source.close();
      stopRefresh();
      stopRetry();
    };
  }, [client, enabled, attempt]);

  return state;
}
