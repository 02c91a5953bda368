/** `suppressions`: recipients that get no mail for a time, after a bounce that was their own fault, a complaint, or by hand. */
import { createList, type List } from './list.ts';
import { type CallOptions, segment, type Transport } from './transport.ts';
import type { Suppression } from './types.ts';
import type { paths } from './wire.ts';

type ListQuery = NonNullable<paths['/v1/suppressions']['get']['parameters']['query']>;
type PutBody = NonNullable<paths['/v1/suppressions/{address}']['put']['requestBody']>['content']['application/json'];

export interface Suppressions {
  /** All of them, or those that `query` asks for. */
  list(query?: Omit<ListQuery, 'cursor'>, options?: CallOptions): List<Suppression>;
  /** The entry of `address`; throws `not-found` when there is none. */
  get(address: string, options?: CallOptions): Promise<Suppression>;
  /** Puts `address` on the list, or changes its entry. */
  put(address: string, entry?: PutBody, options?: CallOptions): Promise<Suppression>;
  /** Takes `address` off the list; throws `not-found` when it is not there. */
  delete(address: string, options?: CallOptions): Promise<void>;
}

/** The calls over `transport`. */
export function createSuppressions(transport: Transport): Suppressions {
  const path = (address: string): string => `/v1/suppressions/${segment(address)}`;
  return {
    list: (query = {}, options = {}) => createList(transport, 'suppressions.list', '/v1/suppressions', query, options),
    get: (address, options) =>
      transport.json({ op: 'suppressions.get', method: 'GET', path: path(address), repeat: 'safe', ...options }),
    put: (address, entry = {}, options) =>
      transport.json({
        op: 'suppressions.put',
        method: 'PUT',
        path: path(address),
        json: entry,
        repeat: 'safe',
        ...options,
      }),
    delete: (address, options) =>
      transport.done({ op: 'suppressions.delete', method: 'DELETE', path: path(address), repeat: 'safe', ...options }),
  };
}
