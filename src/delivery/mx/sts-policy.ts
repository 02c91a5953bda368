/**
 * The two texts of MTA-STS: the TXT record that announces a policy, and the policy itself (RFC 8461, section 3.1 and 3.2).
 *
 * Pure. Strict in what decides (version, mode, id, max_age), lenient in what does not: unknown fields and empty lines are
 * passed over, of a field that is there twice the first counts, a `max_age` above the maximum counts as the maximum, and an
 * `mx` that is no pattern is passed over as long as another one is left: the policy only becomes stricter by it.
 */
import { parseDomainPattern } from '../../config/network.ts';

export interface StsPolicyText {
  readonly mode: 'enforce' | 'testing' | 'none';
  /** Lower case, A-labels; empty only in mode `none`. */
  readonly mx: readonly string[];
  readonly maxAgeSeconds: number;
}

export type ParsedStsPolicy =
  | { readonly kind: 'policy'; readonly policy: StsPolicyText }
  /** `reason` repeats nothing of the text. */
  | { readonly kind: 'malformed'; readonly reason: string };

const MAX_AGE_SECONDS = 31_557_600;
/** More than any domain has; a policy is kept in memory and in the store. */
const MAX_PATTERNS = 256;
const RECORD_START = 'v=STSv1;';
const ID_FIELD = /^id=([A-Za-z0-9]{1,32})$/;
const LINE = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*([^\r\n]*?)[ \t]*$/;

/** The `id` that the TXT records of `_mta-sts.<domain>` announce, or null: there is no policy, or not exactly one record. */
export function parseStsRecord(texts: readonly string[]): string | null {
  const [record, ...others] = texts.filter((text) => text.startsWith(RECORD_START));
  if (record === undefined || others.length > 0) return null;
  const ids = record
    .split(';')
    .map((field) => field.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((field) => field.startsWith('id='));
  const [, id] = ids.length === 1 ? (ID_FIELD.exec(ids[0] ?? '') ?? []) : [];
  return id ?? null;
}

/** Parses the text of a policy. */
export function parseStsPolicy(text: string): ParsedStsPolicy {
  const fields = new Map<string, string>();
  const patterns: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (/^[ \t]*$/.test(line)) continue;
    const [, key, value] = LINE.exec(line) ?? [];
    if (key === undefined || value === undefined) return malformed('a line that is not `key: value`');
    if (key === 'mx') patterns.push(value);
    else if (!fields.has(key)) fields.set(key, value);
  }
  if (fields.get('version') !== 'STSv1') return malformed('`version` is not STSv1');
  const mode = fields.get('mode');
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none') {
    return malformed('`mode` is not enforce, testing or none');
  }
  const maxAge = fields.get('max_age') ?? '';
  if (!/^\d{1,10}$/.test(maxAge)) return malformed('`max_age` is not a number of seconds');
  if (patterns.length > MAX_PATTERNS) return malformed(`more than ${MAX_PATTERNS} \`mx\` lines`);
  const mx = [...new Set(patterns.flatMap((pattern) => parseDomainPattern(pattern) ?? []))];
  if (mx.length === 0 && mode !== 'none') return malformed('no `mx` line that names a host');
  return { kind: 'policy', policy: { mode, mx, maxAgeSeconds: Math.min(Number(maxAge), MAX_AGE_SECONDS) } };
}

/** Whether one of `patterns` names `host` (both lower case, A-labels); `*.` stands for exactly one label (section 4.1). */
export function matchesMxPattern(patterns: readonly string[], host: string): boolean {
  const dot = host.indexOf('.');
  const parent = dot < 1 ? null : `*${host.slice(dot)}`;
  return patterns.some((pattern) => pattern === host || pattern === parent);
}

function malformed(reason: string): ParsedStsPolicy {
  return { kind: 'malformed', reason };
}
