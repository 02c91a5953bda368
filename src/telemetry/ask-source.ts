/** Asks what metrics are read from, so that whatever a source does ends in a scrape without its series. */
import { bugText } from '../core/bug-text.ts';
import { RelayError } from '../core/errors.ts';
import type { Log } from './log.ts';

/** What `question` answers; null: it could not be answered. `source` is a word for people. */
export type Ask = <Answer>(source: string, question: () => Answer | Promise<Answer>) => Promise<Answer | null>;

/** Makes an `Ask` that never rejects. A `RelayError` is trouble that the store logs by itself; anything else is a bug. */
export function createAsk(log: Log): Ask {
  return async (source, question) => {
    try {
      return await question();
    } catch (thrown) {
      if (!(thrown instanceof RelayError)) {
        log.error({ event: 'metrics.failed', reason: bugText(thrown) }, `metrics cannot be read: ${source}`);
      }
      return null;
    }
  };
}
