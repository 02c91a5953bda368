/**
 * A finding: one thing that is wrong, or doubtful, in a config file, told so that it can be put right without a manual.
 *
 * A finding never holds the value of a secret: values are shown as they are written in the file (`${NAME}`, not what it
 * stands for), and those of secret keys not at all.
 */

export interface Finding {
  /** The file as it was named to `loadConfig`. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** `routes.ses.port`, `rules[0].via[1]`; empty when the finding is about the whole file. */
  readonly path: string;
  /** What was wrong. */
  readonly message: string;
  /** What was expected, or what to do; may be empty. */
  readonly hint: string;
}

/** A place in the config: keys and list positions from the top. */
export type Path = readonly (string | number)[];

const MAX_SHOWN_CHARS = 60;
const PLAIN_KEY = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/;

/** The findings as text, one a line: `file:line:col path: what was wrong; what was expected`. */
export function formatFindings(findings: readonly Finding[]): string {
  return findings.map(formatFinding).join('\n');
}

function formatFinding(finding: Finding): string {
  const where = `${finding.file}:${finding.line}:${finding.column}${finding.path === '' ? '' : ` ${finding.path}`}`;
  return escapeControls(`${where}: ${finding.message}${finding.hint === '' ? '' : `; ${finding.hint}`}`);
}

/** The findings in the order of the file. */
export function inFileOrder(findings: readonly Finding[]): readonly Finding[] {
  return [...findings].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** `path` as people write it: `rules[0].via[1]`; keys that are not plain words stand in quotes. */
export function pathText(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += `${text === '' ? '' : '.'}${PLAIN_KEY.test(step) ? step : JSON.stringify(cut(step))}`;
  }
  return text;
}

/** `text` between backticks: one line, control characters escaped, cut when it is long. */
export function quoted(text: string): string {
  return `\`${escapeControls(cut(text))}\``;
}

function cut(text: string): string {
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}...` : text;
}

/** Terminals obey control and format characters (colours, reversed text); a finding shows them as `\u001b`. */
function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
