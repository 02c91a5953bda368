/** What `check` shows to people: findings under titles, each with why it matters and what mends it. */
import { type CheckFinding, worstLevel } from '../doctor/finding.ts';
import { clean } from './clean.ts';
import type { Paint } from './paint.ts';

/** Findings that belong together. */
export interface Section {
  readonly title: string;
  readonly findings: readonly CheckFinding[];
}

const ABOUT_WIDTH = 8;
/** Where the text of a finding begins. */
const INDENT = ' '.repeat(2 + 7 + 2 + ABOUT_WIDTH + 2);

/** All of it, with a verdict at the end. */
export function describeFindings(paint: Paint, sections: readonly Section[]): string {
  const said = new Set<string>();
  const parts = sections.map(({ title, findings }) => {
    const lines = findings.map((finding) => describe(paint, brief(finding, said)));
    return `${paint.bold(clean(title))}\n${lines.join('')}\n`;
  });
  return `${parts.join('')}${verdict(paint, sections)}\n`;
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

/** The first section is about this machine: errors there keep the relay from starting, others its mail from arriving. */
function verdict(paint: Paint, sections: readonly Section[]): string {
  const all = sections.flatMap(({ findings }) => findings);
  const count = (level: CheckFinding['level']): number => all.filter((each) => each.level === level).length;
  const [errors, warnings] = [count('error'), count('warning')];
  const more = warnings > 0 ? ` Warnings: ${warnings}.` : '';
  if (errors === 0) return `${paint.green('The relay can start.')}${more}`;
  const starts = worstLevel(sections[0]?.findings ?? []) !== 'error';
  const words = starts
    ? `${errors} to put right; the relay can start.`
    : `${errors} to put right before the relay can work.`;
  return `${paint.red(words)}${more}`;
}
