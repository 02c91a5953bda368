/** Lists: page by page, or all of it with `for await`. Only one page is in memory at a time. */
import { LeadpushAnswerError } from './errors.ts';
import type { CallOptions, QueryValue, Transport } from './transport.ts';

export interface Page<T> {
  readonly data: readonly T[];
  /** There is more behind this page. */
  readonly has_more: boolean;
  /** What to hand to `page` for the next one; null at the end. */
  readonly next_cursor: string | null;
}

export interface List<T> extends AsyncIterable<T> {
  /** One page: the first, or the one that `cursor` (the `next_cursor` of another) points to. */
  page(cursor?: string): Promise<Page<T>>;
}

/** A list behind `path`. Nothing is asked until it is walked; each walk starts anew. */
export function createList<T>(
  transport: Transport,
  op: string,
  path: string,
  query: Readonly<Record<string, QueryValue>>,
  options: CallOptions,
): List<T> {
  const page = async (cursor?: string): Promise<Page<T>> => {
    const answer = await transport.json<Page<T>>({
      op,
      method: 'GET',
      path,
      query: cursor === undefined ? query : { ...query, cursor },
      repeat: 'safe',
      ...options,
    });
    if (!Array.isArray(answer.data)) throw new LeadpushAnswerError('the answer is no list', 200);
    return answer;
  };
  return {
    page,
    async *[Symbol.asyncIterator]() {
      let cursor: string | undefined;
      for (;;) {
        const { data, has_more: hasMore, next_cursor: next } = await page(cursor);
        yield* data;
        if (!hasMore || next === null) return;
        if (next === cursor)
          throw new LeadpushAnswerError('the list stands still: its next page is the same again', 200);
        cursor = next;
      }
    },
  };
}
