/**
 * A log that a flood cannot fill: of lines with the same text it passes on the first few in each stretch of time, and the next
 * one that passes says how many were held back.
 */
import type { Clock } from '../core/time.ts';
import type { Log, LogFields } from '../telemetry/log.ts';

const WINDOW_MS = 10_000;
const LINES_PER_WINDOW = 10;

export interface BriefLog {
  warn(fields: LogFields, text: string): void;
}

/** Makes a brief log in front of `log`. Texts are fixed sentences, so their number is small. */
export function createBriefLog(clock: Clock, log: Log): BriefLog {
  const windows = new Map<string, { startMs: number; lines: number; held: number }>();
  return {
    warn(fields, text) {
      const now = clock.monotonicMs();
      let window = windows.get(text);
      if (window === undefined || now - window.startMs >= WINDOW_MS) {
        window = { startMs: now, lines: 0, held: window?.held ?? 0 };
        windows.set(text, window);
      }
      if (window.lines >= LINES_PER_WINDOW) {
        window.held++;
        return;
      }
      window.lines++;
      log.warn(window.held === 0 ? fields : { ...fields, held_back: window.held }, text);
      window.held = 0;
    },
  };
}

/** `text` of a client fit for a log line: printable ASCII, at most `max` characters. */
export function cleanForLog(text: string, max: number = 64): string {
  const clean = text.slice(0, max).replace(/[^\x20-\x7e]/g, '?');
  return text.length > max ? `${clean}...` : clean;
}
