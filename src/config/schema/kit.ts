/**
 * The pieces that the schema is built from, over zod.
 *
 * A section is an object that reports each unknown key by itself; a scalar is read by a function that says what is wrong
 * in our words. Every key is entered with its documentation, from which config/README.md is made. Messages never hold a
 * value: `config/issues` puts in what is written in the file, and for secrets nothing.
 */
import { z } from 'zod';
import type { ConfigFiles } from '../files.ts';

/** What config/README.md says of a key. */
export interface KeyDoc {
  readonly type: string;
  readonly meaning: string;
  readonly example: string;
  /** In words, for a key without a fixed default. Ignored by `defaulted`, which shows the default itself. */
  readonly absent?: string;
}

/** A key's documentation with its default filled in. */
export interface FullKeyDoc extends KeyDoc {
  readonly fallback: string;
}

/** How an issue is worded: what its message begins with, and what to do. */
export interface IssueNote {
  /** `value`: the value as written; `key`: the key; `secret`: neither, the value must not be shown. */
  readonly subject: 'value' | 'key' | 'secret';
  readonly hint: string;
  /** The words that a near match is looked for in. */
  readonly known?: readonly string[];
}

export type Reading<T> =
  | { readonly kind: 'value'; readonly value: T }
  /** `problem` completes "`<value>` ...". */
  | {
      readonly kind: 'problem';
      readonly problem: string;
      readonly hint?: string;
      readonly known?: readonly string[];
    };

export interface ScalarSpec<T> {
  /** What to write, with an example. */
  readonly hint: string;
  readonly secret?: boolean;
  readonly read: (text: string) => Reading<T>;
}

export type Section<S extends z.ZodRawShape> = z.ZodObject<S, z.core.$catchall<z.ZodType<unknown>>>;

export interface Kit {
  readonly files: ConfigFiles;
  /** This machine's name, the default of `hostname`. */
  readonly machineName: string;
  readonly docs: z.core.$ZodRegistry<FullKeyDoc>;
  /** A key that must be there. */
  required<T>(schema: z.ZodType<T>, doc: KeyDoc): z.ZodType<T>;
  /** A key that has the value `fallback`, in the config's own notation, when it is absent. */
  defaulted<T>(schema: z.ZodType<T>, fallback: unknown, doc: KeyDoc): z.ZodPrefault<z.ZodType<T>>;
  /** A key that may be absent. */
  optional<T>(schema: z.ZodType<T>, doc: KeyDoc): z.ZodOptional<z.ZodType<T>>;
}

/** Makes the kit for one reading of a config. */
export function createKit(files: ConfigFiles, machineName: string): Kit {
  const docs = z.registry<FullKeyDoc>();
  const enter = <S extends z.ZodType>(schema: S, doc: KeyDoc, fallback: string): S => {
    docs.add(schema, { ...doc, fallback });
    return schema;
  };
  return {
    files,
    machineName,
    docs,
    // A copy: the same schema may stand behind several keys, each with its documentation.
    required: (schema, doc) => enter(schema.clone(), doc, 'required'),
    defaulted: (schema, fallback, doc) => enter(schema.prefault(fallback), doc, doc.absent ?? shownDefault(fallback)),
    optional: (schema, doc) => enter(schema.optional(), doc, doc.absent ?? 'none'),
  };
}

/** An object with the keys of `shape`; any other key is an issue of its own. */
export function section<S extends z.ZodRawShape>(shape: S): Section<S> {
  const known = Object.keys(shape);
  const unknownKey = z.unknown().superRefine((_value, context) => {
    addIssue(context, 'is not a known key', { subject: 'key', hint: `known here: ${known.join(', ')}`, known });
  });
  return z.object(shape).catchall(unknownKey);
}

/** One value, read from text. */
export function scalar<T>(spec: ScalarSpec<T>): z.ZodType<T> {
  const subject = spec.secret === true ? 'secret' : 'value';
  return z.unknown().transform((input, context): T => {
    const single = typeof input === 'string' || typeof input === 'number' || typeof input === 'boolean';
    const reading: Reading<T> = single
      ? spec.read(String(input))
      : { kind: 'problem', problem: wrongKind(input, 'a single value') };
    if (reading.kind === 'value' && typeof input === 'string') return reading.value;
    // YAML made a number of it (and may have lost digits); as text it would have been right.
    if (reading.kind === 'value') {
      addIssue(context, wrongKind(input, 'text'), { subject, hint: 'put it in quotes' });
      return z.NEVER;
    }
    const { problem, hint = spec.hint, known } = reading;
    addIssue(context, problem, { subject, hint, ...(known === undefined ? {} : { known }) });
    return z.NEVER;
  });
}

/** A whole number; digits in text count as one, so that `${PORT}` works. */
export function integer(min: number, max: number): z.ZodType<number> {
  const hint = `write a whole number from ${min} to ${max}`;
  return z.unknown().transform((input, context): number => {
    const value = typeof input === 'string' && /^\d{1,15}$/.test(input) ? Number(input) : input;
    if (typeof value !== 'number' && typeof value !== 'string') {
      addIssue(context, wrongKind(input, 'a number'), { subject: 'value', hint });
    } else if (!Number.isSafeInteger(value)) {
      addIssue(context, 'is not a whole number', { subject: 'value', hint });
    } else if (Number(value) < min || Number(value) > max) {
      addIssue(context, 'is out of range', { subject: 'value', hint });
    } else {
      return Number(value);
    }
    return z.NEVER;
  });
}

/** One of a few words. */
export function oneOf<const W extends string>(
  words: readonly W[],
  refused: ReadonlyMap<string, string> = new Map(),
): z.ZodType<W> {
  return scalar({
    hint: `write one of ${words.join(', ')}`,
    read(text) {
      const word = words.find((candidate) => candidate === text);
      if (word !== undefined) return { kind: 'value', value: word };
      const reason = refused.get(text);
      if (reason !== undefined) return { kind: 'problem', problem: reason };
      return { kind: 'problem', problem: 'is not one of the known words', known: words };
    },
  });
}

/** `true` or `false`; the words as text count too, so that `${NAME}` works. */
export function trueOrFalse(): z.ZodType<boolean> {
  return z.unknown().transform((input, context): boolean => {
    if (typeof input === 'boolean') return input;
    if (input === 'true' || input === 'false') return input === 'true';
    const message = typeof input === 'string' ? 'is neither true nor false' : wrongKind(input, 'true or false');
    addIssue(context, message, { subject: 'value', hint: 'write `true` or `false`' });
    return z.NEVER;
  });
}

/** A list with at least `min` entries; `entries` names them in messages. */
export function list<T>(entry: z.ZodType<T>, min: number): z.ZodType<readonly T[]> {
  return z.array(entry).superRefine((values, context) => {
    if (values.length >= min) return;
    addIssue(context, 'is an empty list', {
      subject: 'key',
      hint: `give at least ${min === 1 ? 'one entry' : `${min} entries`}`,
    });
  });
}

/** A list as above, or one entry without brackets. */
export function oneOrMany<T>(entry: z.ZodType<T>): z.ZodType<readonly T[]> {
  return z.preprocess((input) => (typeof input === 'string' ? [input] : input), list(entry, 1));
}

/** Adds an issue in our own words. */
export function addIssue(context: z.RefinementCtx, message: string, note: IssueNote): void {
  context.addIssue({ code: 'custom', message, params: { note } });
}

/** Completes "`<value>` ..." for a value of the wrong kind. */
export function wrongKind(input: unknown, wanted: string): string {
  if (input === undefined) return 'is missing';
  if (input === null) return 'is empty';
  if (Array.isArray(input)) return `is a list, not ${wanted}`;
  if (typeof input === 'object') return `is a mapping, not ${wanted}`;
  return `is a ${typeof input}, not ${wanted}`;
}

function shownDefault(value: unknown): string {
  const text = notation(value);
  return text === '{}' ? 'the defaults of its keys' : `\`${text}\``;
}

/** `value` as one would write it in the config. */
function notation(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(notation).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([key, item]) => `${key}: ${notation(item)}`);
    return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
  }
  return String(value);
}
