/**
 * A config file as plain values, every one with its line and column.
 *
 * Reads YAML 1.2 (core schema), replaces `${...}` in values, and reports what can be told without knowing what a config
 * is: syntax, duplicate keys, aliases that lead nowhere or in a circle, secrets that cannot be had. Never throws for what
 * is in the file: size, depth and the number of values, aliases counted each time they are used, are bounded.
 *
 * Mappings become objects without a prototype, so `constructor` is an ordinary key; `__proto__` is refused outright.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Pair,
  visit,
  type YAMLMap,
} from 'yaml';
import type { ConfigFiles } from './files.ts';
import { type Finding, type Path, pathText, quoted } from './finding.ts';
import { type Lookups, substitute } from './substitute.ts';
import { OPEN_QUOTE, yamlProblem } from './yaml-problem.ts';

const MAX_VALUES = 20_000;
const MAX_DEPTH = 24;
const MAX_SYNTAX_FINDINGS = 100;
const MAX_SECRET_BYTES = 64 * 1024;
const MAX_FAULTS = 1000;
/**
 * The parser's time grows with the square of some signs in a row: 70 s for 200,000 open brackets, 190 s for as many anchors,
 * 60 s for as many commas. So many of each are taken, wherever they stand, and a parse ends within seconds.
 */
const MAX_SIGNS: ReadonlyMap<string, number> = new Map([
  ...[...'[{'].map((sign) => [sign, 10_000] as const),
  ...[...']},"\'*'].map((sign) => [sign, 20_000] as const),
  ...[...'&!'].map((sign) => [sign, 2000] as const),
]);

/** Where a value stands, and how it is written. */
interface Spot {
  readonly keyOffset: number;
  readonly valueOffset: number;
  /** The value as it is written, before substitution; null for mappings, lists and empty values. */
  readonly written: string | null;
  readonly substituted: boolean;
  /** Its `${...}` could not be replaced: a finding says so, and nothing more is to be said about the value. */
  readonly broken: boolean;
}

export interface Source {
  /** The file as it was named. */
  readonly file: string;
  /** Mappings, lists, texts, numbers, booleans, null; undefined when the syntax is broken or a bound is passed. */
  readonly data: unknown;
  readonly findings: readonly Finding[];
  /** Files read for `${file:...}`, with the path of the value that asked. */
  readonly secretFiles: readonly { readonly at: Path; readonly file: string }[];
  /** A finding about the value at `path`, or about its key; for what is not there, about the mapping that lacks it. */
  finding(path: Path, message: string, hint: string, about?: 'value' | 'key'): Finding;
  /** The value at `path` as it is written in the file, or null when it is no single value. */
  written(path: Path): string | null;
  has(path: Path): boolean;
  isSubstituted(path: Path): boolean;
  /** True when the value at `path`, or one that it is part of, could not be substituted. */
  isBroken(path: Path): boolean;
}

export interface SourceInput {
  readonly file: string;
  readonly text: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly files: ConfigFiles;
}

/** Reads the text of a config file. */
export function parseSource(input: SourceInput): Source {
  const lines = new LineCounter();
  const flood = floodOf(input.text);
  const document = parseDocument(flood === null ? input.text : '', {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    stringKeys: true,
    schema: 'core',
    resolveKnownTags: false,
    // 'silent' would hide a second document, too.
    logLevel: 'error',
  });
  const findings: Finding[] = [];
  const spots = new Map<string, Spot>();
  const secretFiles: { readonly at: Path; readonly file: string }[] = [];
  const report = (offset: number, path: Path, message: string, hint: string): Finding => {
    const { line, col } = lines.linePos(offset);
    return { file: input.file, line: Math.max(line, 1), column: Math.max(col, 1), path: pathText(path), message, hint };
  };

  let tooLarge = flood !== null;
  if (flood !== null) findings.push(report(0, [], `the file has too many ${quoted(flood)}`, 'make it smaller'));

  const faults = [...document.errors, ...document.warnings].slice(0, MAX_FAULTS);
  const faultyLines = new Set<number>();
  for (const fault of faults) {
    // One mistake makes the parser stumble over the rest of its line.
    if (faultyLines.has(lines.linePos(fault.pos[0]).line)) continue;
    const openQuote = fault.code === 'MISSING_CHAR' ? quoteOpenAt(document, fault.pos[0]) : null;
    const offset = openQuote ?? fault.pos[0];
    const { line } = lines.linePos(offset);
    if (faultyLines.has(line) || faultyLines.size >= MAX_SYNTAX_FINDINGS) continue;
    faultyLines.add(line);
    const { message, hint } = openQuote === null ? yamlProblem(fault.code, lineAround(input.text, offset)) : OPEN_QUOTE;
    findings.push(report(offset, [], message, hint));
  }

  const anchors = faults.length === 0 ? resolveAliases(document) : new Map<Alias, Node>();
  const open = new Set<Node>();
  let count = 0;

  const walk = (node: Node | null, path: Path, keyOffset: number): unknown => {
    if (tooLarge) return null;
    if (++count > MAX_VALUES || path.length > MAX_DEPTH) {
      tooLarge = true;
      const what = count > MAX_VALUES ? `more than ${MAX_VALUES} values` : `more than ${MAX_DEPTH} levels`;
      findings.push(report(keyOffset, [], `the file has ${what}`, 'look for aliases (`*name`) that repeat each other'));
      return null;
    }
    const valueOffset = node?.range?.[0] ?? keyOffset;
    const note = (spot: Partial<Spot>): void => {
      const plain = { keyOffset, valueOffset, written: null, substituted: false, broken: false };
      spots.set(spotKey(path), { ...plain, ...spot });
    };
    if (node === null) {
      note({ valueOffset: keyOffset });
      return null;
    }
    if (isAlias(node)) return walkAlias(node, path, keyOffset, note);
    if (isScalar(node)) {
      // An empty value has no place of its own: its key is where people look.
      note({ valueOffset: node.value === null ? keyOffset : valueOffset, written: node.source ?? String(node.value) });
      return typeof node.value === 'string' ? fillIn(node.value, path, valueOffset, note) : node.value;
    }
    note({});
    if (isMap(node)) return walkMap(node, path, valueOffset);
    if (!isSeq(node)) return null;
    return node.items.map((value, index) => {
      const item = asNode(value);
      return walk(item, [...path, index], item?.range?.[0] ?? valueOffset);
    });
  };

  const walkAlias = (alias: Alias, path: Path, keyOffset: number, note: (spot: Partial<Spot>) => void): unknown => {
    const target = anchors.get(alias);
    const offset = alias.range?.[0] ?? keyOffset;
    if (target === undefined || open.has(target)) {
      note({ broken: true });
      const message = target === undefined ? 'has no anchor before it' : 'stands inside the value that it names';
      findings.push(report(offset, path, `the alias ${quoted(`*${alias.source}`)} ${message}`, 'write the value out'));
      return null;
    }
    open.add(target);
    const value = walk(target, path, keyOffset);
    open.delete(target);
    return value;
  };

  const walkMap = (map: YAMLMap, path: Path, offset: number): unknown => {
    const object: Record<string, unknown> = Object.create(null);
    const seen = new Map<string, number>();
    for (const pair of map.items) {
      const { key, keyOffset } = keyOf(pair, offset);
      const earlier = seen.get(key);
      if (earlier !== undefined) {
        const { line } = lines.linePos(earlier);
        findings.push(
          report(keyOffset, [...path, key], 'the key is written twice', `it stands on line ${line} already`),
        );
      } else if (key === '__proto__') {
        findings.push(report(keyOffset, [...path, key], '`__proto__` is not a known key', 'take it out'));
      } else {
        seen.set(key, keyOffset);
        object[key] = walk(asNode(pair.value), [...path, key], keyOffset);
      }
    }
    return object;
  };

  const fillIn = (text: string, path: Path, offset: number, note: (spot: Partial<Spot>) => void): string => {
    const lookups = createLookups(input, (file) => secretFiles.push({ at: path, file }));
    const result = substitute(text, lookups);
    for (const problem of result.problems) findings.push(report(offset, path, problem.message, problem.hint));
    note({ written: text, substituted: result.changed, broken: result.problems.length > 0 });
    return result.text;
  };

  const data = faults.length === 0 ? walk(document.contents, [], 0) : undefined;
  const spotAt = (path: Path): Spot | undefined => spots.get(spotKey(path));
  return {
    file: input.file,
    data: tooLarge ? undefined : data,
    findings,
    secretFiles,
    finding(path, message, hint, about = 'value') {
      let place = path;
      while (place.length > 0 && spotAt(place) === undefined) place = place.slice(0, -1);
      const spot = spotAt(place);
      const onKey = about === 'key' || place.length < path.length;
      return report((onKey ? spot?.keyOffset : spot?.valueOffset) ?? 0, path, message, hint);
    },
    written: (path) => spotAt(path)?.written ?? null,
    has: (path) => spotAt(path) !== undefined,
    isSubstituted: (path) => spotAt(path)?.substituted ?? false,
    isBroken: (path) => path.some((_, index) => spotAt(path.slice(0, index + 1))?.broken === true),
  };
}

function createLookups(input: SourceInput, onFile: (file: string) => void): Lookups {
  return {
    variable(name) {
      const value = Object.hasOwn(input.env, name) ? input.env[name] : undefined;
      if (value !== undefined) return { kind: 'found', text: value };
      const hint = `set ${name}, or write \`$\${\` if a literal \`\${\` was meant`;
      return { kind: 'problem', message: `the environment variable ${quoted(name)} is not set`, hint };
    },
    file(path) {
      const read = input.files.read(path, MAX_SECRET_BYTES);
      if (read.kind === 'unreadable') {
        const message = `the secret file ${quoted(path)} cannot be read: ${read.reason}`;
        return { kind: 'problem', message, hint: "relative paths start at the config file's folder" };
      }
      onFile(path);
      return { kind: 'found', text: read.text.replace(/\r?\n$/, '') };
    },
  };
}

/** Which value each alias stands for: the last one before it with that anchor (YAML 1.2.2, section 7.1). */
function resolveAliases(document: Document.Parsed): Map<Alias, Node> {
  const anchored = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        const target = anchored.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) {
        anchored.set(node.anchor, node);
      }
    },
  });
  return targets;
}

/** The sign that `text` has too many of, or null. */
function floodOf(text: string): string | null {
  const left = new Map(MAX_SIGNS);
  for (const sign of text) {
    const before = left.get(sign);
    if (before === 0) return sign;
    if (before !== undefined) left.set(sign, before - 1);
  }
  return null;
}

/** Where the quoted text that runs over `offset` starts, or null when there is none. */
function quoteOpenAt(document: Document.Parsed, offset: number): number | null {
  let start: number | null = null;
  visit(document, {
    Scalar(_key, { type, range }) {
      const isQuoted = type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE';
      if (!isQuoted || range === null || range === undefined) return undefined;
      if (range[0] > offset || range[1] < offset) return undefined;
      start = range[0];
      return visit.BREAK;
    },
  });
  return start;
}

function lineAround(text: string, offset: number): string {
  const start = offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
  return text.slice(start).split('\n', 1)[0] ?? '';
}

function keyOf(pair: Pair, fallbackOffset: number): { readonly key: string; readonly keyOffset: number } {
  const key = pair.key;
  if (!isScalar(key)) return { key: '', keyOffset: fallbackOffset };
  return { key: String(key.value), keyOffset: key.range?.[0] ?? fallbackOffset };
}

function asNode(value: unknown): Node | null {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value) ? value : null;
}

function spotKey(path: Path): string {
  return JSON.stringify(path);
}
