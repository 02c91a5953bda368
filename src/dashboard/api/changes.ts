/** What changes something: retry, cancel, suppressions, replay. Afterwards the views ask anew. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { call } from './client.ts';
import type { Change, Suppression } from './types.ts';

interface Operation {
  readonly action: 'retry' | 'cancel';
  readonly ids: readonly string[];
}

/** Retries or cancels messages, one after the other; `result` says in words what came of it. */
export function useOperate() {
  const client = useQueryClient();
  const mutation = useMutation({
    mutationFn: async ({ action, ids }: Operation): Promise<string> => {
      let changed = 0;
      const reasons = new Set<string>();
      for (const id of ids) {
        const result = await call<Change>('POST', `/v1/messages/${id}/${action}`);
        changed += result.changed.length;
        for (const { reason } of result.unchanged) reasons.add(reason);
      }
      const done = `${changed} ${action === 'retry' ? 'put back to work' : 'canceled'}`;
      return reasons.size === 0 ? done : `${done}; left: ${[...reasons].join('; ')}`;
    },
    onSettled: () => client.invalidateQueries(),
  });
  return { ...mutation, result: mutation.error?.message ?? mutation.data ?? '' };
}

export interface NewSuppression {
  readonly address: string;
  readonly detail: string;
  /** Empty: until it is removed. */
  readonly days: string;
}

export function useAddSuppression() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ address, detail, days }: NewSuppression) =>
      call<Suppression>('PUT', `/v1/suppressions/${encodeURIComponent(address)}`, {
        ...(detail === '' ? {} : { reason: detail }),
        ...(days === '' ? {} : { for: `${days}d` }),
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['suppressions'] }),
  });
}

export function useRemoveSuppression() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (address: string) => call<null>('DELETE', `/v1/suppressions/${encodeURIComponent(address)}`),
    onSuccess: () => client.invalidateQueries({ queryKey: ['suppressions'] }),
  });
}

/** Which events an endpoint gets again. */
export type Replay = { readonly event_id: string } | { readonly since: string } | { readonly dead: true };

/** Sends events to an endpoint again; resolves with how many. */
export function useReplay(name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (what: Replay) =>
      call<{ readonly queued: number }>('POST', `/v1/webhooks/${encodeURIComponent(name)}/replay`, what),
    onSettled: () => client.invalidateQueries({ queryKey: ['webhooks'] }),
  });
}

/** Lets an endpoint that answered 410 go on. */
export function useEnable(name: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => call<null>('POST', `/v1/webhooks/${encodeURIComponent(name)}/enable`),
    onSettled: () => client.invalidateQueries({ queryKey: ['webhooks'] }),
  });
}
