/** `suppressions`: recipients that get no mail for a time, after a bounce that was their own fault, a complaint, or by hand. */
import { createList, type List } from './list.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { Suppression } from './types.ts';
import type { paths } from './wire.ts';

type ListQuery = NonNullable<paths['/v1/suppressions']['get']['parameters']['query']>;

export interface Suppressions {
  /** All of them, or those that `query` asks for. */
  list(query?: Omit<ListQuery, 'cursor'>, options?: CallOptions): List<Suppression>;
}

/** The calls over `transport`. */
export function createSuppressions(transport: Transport): Suppressions {
  return {
    list: (query = {}, options = {}) => createList(transport, 'suppressions.list', '/v1/suppressions', query, options),
  };
}
