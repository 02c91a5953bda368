/**
 * Reading single values out of a config that may be wrong elsewhere.
 *
 * The checks that look at several values at once work on the file's own values, not on the schema's result: a config with
 * one bad duration still gets all its other errors told. What is missing, of the wrong kind or not substituted reads as null.
 */
import type { Finding, Path } from '../finding.ts';
import type { Source } from '../source.ts';

export interface Reader {
  /** The text at `path`, or null. */
  text(path: Path): string | null;
  /** The text at `path`, `fallback` when the key is absent, null when it is there but no text. */
  textOr(path: Path, fallback: string): string | null;
  /** The whole number at `path`, also as text of digits; `fallback` when the key is absent. */
  number(path: Path, fallback: number): number | null;
  /** The texts at `path`: of one text or of a list, each with its path. */
  texts(path: Path): readonly { readonly path: Path; readonly text: string }[];
  /** The paths of the entries of the list or mapping at `path`. */
  entries(path: Path): readonly Path[];
  has(path: Path): boolean;
  /** True when `true` is written there, as a word or as text. */
  isTrue(path: Path): boolean;
  isMapping(path: Path): boolean;
  /** True when there is nothing at `path`, or an empty list or mapping. */
  isEmpty(path: Path): boolean;
}

/** Where a check puts what it found. */
export interface Report {
  error(path: Path, message: string, hint: string, about?: 'value' | 'key'): void;
  warning(path: Path, message: string, hint: string, about?: 'value' | 'key'): void;
}

/** Reads from `source`. */
export function createReader(source: Source): Reader {
  const at = (path: Path): unknown => path.reduce<unknown>(step, source.data);
  const text = (path: Path): string | null => {
    const value = at(path);
    return typeof value === 'string' && value !== '' && !source.isBroken(path) ? value : null;
  };
  const entries = (path: Path): readonly Path[] => {
    const value = at(path);
    if (Array.isArray(value)) return value.map((_, index) => [...path, index]);
    return isObject(value) ? Object.keys(value).map((key) => [...path, key]) : [];
  };
  return {
    text,
    textOr: (path, fallback) => (at(path) === undefined ? fallback : text(path)),
    number(path, fallback) {
      const value = at(path) ?? fallback;
      if (typeof value === 'number') return value;
      return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : null;
    },
    texts(path) {
      const places = Array.isArray(at(path)) ? entries(path) : [path];
      return places.flatMap((place) => {
        const found = text(place);
        return found === null ? [] : [{ path: place, text: found }];
      });
    },
    entries,
    has: (path) => at(path) !== undefined,
    isTrue: (path) => at(path) === true || at(path) === 'true',
    isMapping: (path) => isObject(at(path)),
    isEmpty(path) {
      const value = at(path);
      return value === undefined || ((Array.isArray(value) || isObject(value)) && entries(path).length === 0);
    },
  };
}

/** Collects findings. */
export function createReport(source: Source): Report & { readonly errors: Finding[]; readonly warnings: Finding[] } {
  const errors: Finding[] = [];
  const warnings: Finding[] = [];
  return {
    errors,
    warnings,
    error: (path, message, hint, about) => void errors.push(source.finding(path, message, hint, about)),
    warning: (path, message, hint, about) => void warnings.push(source.finding(path, message, hint, about)),
  };
}

function step(value: unknown, key: string | number): unknown {
  if (Array.isArray(value)) return value[Number(key)];
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
