/** Moments in a query: RFC 3339, or a span back from now. */
import { z } from 'zod';
import { parseDuration } from '../config/units.ts';
import { parseMoment } from '../core/moment.ts';

/** A moment in a query; `momentOf` reads it. */
export function momentQuery(meaning: string): z.ZodString {
  return z
    .string()
    .max(64)
    .refine(
      (text) => momentOf(text, 0) !== null,
      'write a moment (2026-01-05T10:00:00Z) or a span back from now (90s, 15m, 24h, 7d)',
    )
    .meta({
      description: `${meaning} RFC 3339, or a span back from now: \`24h\`.`,
      examples: ['24h', '2026-01-05T10:00:00Z'],
    });
}

/** `text` in epoch milliseconds, at least 0; null when it is no moment. */
export function momentOf(text: string, now: number): number | null {
  const spanMs = parseDuration(text);
  if (spanMs !== null) return Math.max(0, now - spanMs);
  const at = parseMoment(text, 'whole');
  return at === null ? null : Math.max(0, at);
}
