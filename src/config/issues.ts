/**
 * From what the schema found to findings with line, column and words.
 *
 * Values are put into messages here, and only as they are written in the file: what stands behind `${NAME}` is never
 * shown, and of a secret key not even that.
 */
import type { z } from 'zod';
import { type Finding, type Path, quoted } from './finding.ts';
import { didYouMean, nearMatch } from './near-match.ts';
import type { IssueNote } from './schema/kit.ts';
import type { Source } from './source.ts';

type Issue = z.core.$ZodIssue;

/** The findings of a failed parse; values that could not be substituted have a finding already and get no other. */
export function issueFindings(issues: readonly Issue[], source: Source): readonly Finding[] {
  return issues.flatMap((issue) => {
    const path = nearestPath(toPath(issue.path), source, issue);
    return source.isBroken(path) ? [] : [toFinding(issue, path, source)];
  });
}

function toFinding(issue: Issue, path: Path, source: Source): Finding {
  switch (issue.code) {
    case 'custom': {
      const note = readNote(issue.params);
      const about = note.subject === 'key' ? 'key' : 'value';
      return source.finding(
        path,
        `${subject(note, issue.message, path, source)} ${issue.message}`,
        hint(note, path, source),
        about,
      );
    }
    case 'invalid_type': {
      const wanted = issue.expected === 'array' ? 'a list' : 'a mapping';
      const example =
        issue.expected === 'array' ? '`[a, b]`, or lines that start with `- `' : '`{ key: value }`, or indented lines';
      if (!source.has(path)) return source.finding(path, 'the key is missing', `write ${wanted}: ${example}`);
      const written = source.written(path);
      const empty = written === '';
      const found = written === null || empty ? 'the value' : quoted(written);
      return source.finding(path, `${found} is ${empty ? 'empty' : `not ${wanted}`}`, `write ${wanted}: ${example}`);
    }
    case 'invalid_union': {
      const words = 'options' in issue ? (issue.options ?? []).map(String) : [];
      const known = `write one of ${words.join(', ')}`;
      if (!source.has(path)) return source.finding(path, 'the key is missing', known);
      const written = source.written(path) ?? '';
      return source.finding(
        path,
        `${quoted(written)} is not one of the known words`,
        didYouMean(written, words, known),
      );
    }
    case 'invalid_key': {
      const note = readNote(issue.issues[0]?.code === 'custom' ? issue.issues[0].params : undefined);
      const message = issue.issues[0]?.message ?? 'is not a name';
      return source.finding(path, `${quoted(String(path.at(-1)))} ${message}`, note.hint, 'key');
    }
    default:
      return source.finding(path, 'the value is not allowed here', '');
  }
}

function subject(note: IssueNote, message: string, path: Path, source: Source): string {
  if (message === 'is missing') return 'the key';
  if (note.subject === 'key') return quoted(String(path.at(-1) ?? ''));
  const written = source.written(path);
  return note.subject === 'secret' || written === null || written === '' ? 'the value' : quoted(written);
}

function hint(note: IssueNote, path: Path, source: Source): string {
  if (note.known === undefined) return note.hint;
  const word = note.subject === 'key' ? String(path.at(-1)) : source.written(path);
  return word !== null && nearMatch(word, note.known) !== null ? didYouMean(word, note.known, '') : note.hint;
}

/** The issue's path, less an index that the schema added itself (one entry where a list may stand). */
function nearestPath(path: Path, source: Source, issue: Issue): Path {
  const parent = path.slice(0, -1);
  const added =
    typeof path.at(-1) === 'number' && !source.has(path) && (source.written(parent) !== null || !source.has(parent));
  return added && issue.code === 'custom' ? parent : path;
}

function toPath(path: readonly PropertyKey[]): Path {
  return path.map((step) => (typeof step === 'number' ? step : String(step)));
}

function readNote(params: Readonly<Record<string, unknown>> | undefined): IssueNote {
  const note: unknown = params?.['note'];
  return isNote(note) ? note : { subject: 'secret', hint: '' };
}

function isNote(value: unknown): value is IssueNote {
  return typeof value === 'object' && value !== null && 'subject' in value && 'hint' in value;
}
