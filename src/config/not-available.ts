/**
 * Options that the config knows and this version does not carry out. They are refused: an option that did nothing would
 * be worse than none. When one comes to life its line goes, and its key moves into the schema.
 */
import type { Finding, Path } from './finding.ts';
import type { Source } from './source.ts';

export interface NotAvailable {
  /** The key; `*` stands for any name or list position. */
  readonly at: readonly string[];
  /** What it would do, as the beginning of "... not available yet". */
  readonly what: string;
  /** Which values are refused; absent: the key with any value. */
  readonly refuses?: (value: unknown) => boolean;
  /** The key whose line the finding points at, below `at`. */
  readonly pointAt?: string;
  /** How the reference writes it. */
  readonly shown: string;
}

export const NOT_AVAILABLE: readonly NotAvailable[] = [
  {
    at: ['store'],
    what: 'PostgreSQL is',
    refuses: (value) => typeof value === 'string' && /^postgres(?:ql)?(?::|$)/.test(value),
    shown: 'store: postgres://...',
  },
];

export interface Available {
  /** The data without the options that are not available. */
  readonly data: unknown;
  readonly findings: readonly Finding[];
}

/** Takes the options that are not available out of `source.data`, with a finding for each. */
export function takeOutUnavailable(source: Source): Available {
  const findings: Finding[] = [];
  const copy = (value: unknown, path: Path): unknown => {
    if (Array.isArray(value)) {
      return value.flatMap((item: unknown, index) =>
        refused(item, [...path, index]) ? [] : [copy(item, [...path, index])],
      );
    }
    if (typeof value !== 'object' || value === null) return value;
    const object: Record<string, unknown> = Object.create(null);
    for (const [key, item] of Object.entries(value)) {
      if (!refused(item, [...path, key])) object[key] = copy(item, [...path, key]);
    }
    return object;
  };
  const refused = (value: unknown, path: Path): boolean => {
    const entry = NOT_AVAILABLE.find(({ at, refuses }) => matches(at, path) && (refuses?.(value) ?? true));
    if (entry === undefined) return false;
    const place = entry.pointAt === undefined ? path : [...path, entry.pointAt];
    findings.push(source.finding(place, `${entry.what} not available yet`, '', 'key'));
    return true;
  };
  return { data: copy(source.data, []), findings };
}

function matches(at: readonly string[], path: Path): boolean {
  return at.length === path.length && at.every((step, index) => step === '*' || step === path[index]);
}
