/** `events`: the log of what happened, and its stream. */
import { createList, type List } from './list.ts';
import { type StreamOptions, streamEvents } from './stream.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { EventType, RelayEvent } from './types.ts';

/** A type, or all of a kind. */
export type EventTypePattern = EventType | 'message.*' | 'route.*' | 'webhook.*' | '*';

export interface EventQuery {
  /** Only these types. */
  readonly type?: EventTypePattern | readonly EventTypePattern[] | undefined;
  /** Only mail with this tag. */
  readonly tag?: string | undefined;
  /** Only what came after this `seq`. */
  readonly after_seq?: number | undefined;
  /** Only what happened at or after this: a moment, or a span back from now (`24h`). */
  readonly since?: string | Date | undefined;
}

export interface EventListQuery extends EventQuery {
  /** How many come in one page: 1 to 100. */
  readonly limit?: number | undefined;
}

export interface Events {
  /**
   * The log, in order, as far as it is still kept: from `after_seq` on (0: from its begin). Without `after_seq` it is one page,
   * the newest.
   */
  list(query?: EventListQuery, options?: CallOptions): List<RelayEvent>;
  /** What happens, as it does: from `after_seq` on, else from now on. Goes on over broken connections; ends with `signal`. */
  stream(query?: EventQuery, options?: StreamOptions): AsyncGenerator<RelayEvent, void, undefined>;
}

/** The calls over `transport`. */
export function createEvents(transport: Transport): Events {
  return {
    list: (query = {}, options = {}) => createList(transport, 'events.list', '/v1/events', { ...query }, options),
    stream(query = {}, options = {}) {
      const { after_seq: afterSeq, ...filter } = query;
      return streamEvents(transport, { ...filter }, afterSeq ?? null, options);
    },
  };
}
