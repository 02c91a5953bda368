/** What checks print: for people findings under titles, each with why it matters and what mends it; else a JSON line each. */
import { type CheckFinding, worstLevel } from '../doctor/finding.ts';
import { jsonLine } from '../telemetry/json-line.ts';
import { clean } from '../api/story/clean.ts';
import { type CliIo, type GlobalOptions, wantsJson } from './io.ts';
import { createPaint, type Paint } from './paint.ts';

/** Findings that belong together. */
export interface Section {
  readonly title: string;
  readonly findings: readonly CheckFinding[];
  /** An error among them keeps the relay from starting. */
  readonly isVital?: boolean;
}

const ABOUT_WIDTH = 8;
/** Where the text of a finding begins. */
const INDENT = ' '.repeat(2 + 7 + 2 + ABOUT_WIDTH + 2);

/**
 * Prints `sections`, and has the command end with 1 when there is an error among them. `well` is the last line for people when
 * there is none.
 */
export async function printFindings(
  io: CliIo,
  options: GlobalOptions,
  sections: readonly Section[],
  well: string,
): Promise<void> {
  const findings = sections.flatMap((section) => section.findings);
  if (worstLevel(findings) === 'error') io.exit.code = 1;
  const text = wantsJson(io, options)
    ? findings.map((finding) => `${jsonLine(finding)}\n`).join('')
    : describeFindings(createPaint(io.stdout.hasColor), sections, well);
  await io.stdout.write(text);
}

/** All of it, with a verdict at the end. */
function describeFindings(paint: Paint, sections: readonly Section[], well: string): string {
  const said = new Set<string>();
  const parts = sections.map(({ title, findings }) => {
    const lines = findings.map((finding) => describe(paint, brief(finding, said)));
    return `${paint.bold(clean(title))}\n${lines.join('')}\n`;
  });
  return `${parts.join('')}${verdict(paint, sections, well)}\n`;
}

/** A DNS server that does not answer makes every question unknown: what that means is said once. */
function brief(finding: CheckFinding, said: Set<string>): CheckFinding {
  if (!finding.code.endsWith('.unknown')) return finding;
  if (said.has(finding.hint)) return { ...finding, why: '', hint: '' };
  said.add(finding.hint);
  return finding;
}

function describe(paint: Paint, { level, about, message, why, hint, record }: CheckFinding): string {
  const words = { ok: paint.green('ok     '), warning: paint.yellow('warning'), error: paint.red('error  ') };
  const more = [
    ...(why === '' ? [] : [paint.dim(clean(why))]),
    ...(hint === '' ? [] : [clean(hint)]),
    ...(record === null ? [] : [paint.bold(clean(record.zone))]),
  ];
  const lines = [clean(message), ...more.map((line) => `${INDENT}${line}`)];
  return `  ${words[level]}  ${about.padEnd(ABOUT_WIDTH)}  ${lines.join('\n')}\n`;
}

function verdict(paint: Paint, sections: readonly Section[], well: string): string {
  const all = sections.flatMap(({ findings }) => findings);
  const count = (level: CheckFinding['level']): number => all.filter((each) => each.level === level).length;
  const [errors, warnings] = [count('error'), count('warning')];
  const more = warnings > 0 ? ` Warnings: ${warnings}.` : '';
  if (errors === 0) return `${paint.green(well)}${more}`;
  const starts = sections.every(({ isVital, findings }) => isVital !== true || worstLevel(findings) !== 'error');
  return `${paint.red(`${errors} to put right${starts ? '' : ' before the relay can work'}.`)}${more}`;
}
