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
  const parts = sections.map(({ title, findings }) => {
    const lines = findings.map((finding) => describe(paint, finding));
    return `${paint.bold(clean(title))}\n${lines.join('')}\n`;
  });
  return `${parts.join('')}${verdict(
    paint,
    sections.flatMap(({ findings }) => findings),
  )}\n`;
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

/** Errors in what is on this machine keep the relay from starting; others keep its mail from arriving. */
function verdict(paint: Paint, findings: readonly CheckFinding[]): string {
  const count = (level: CheckFinding['level']): number => findings.filter((each) => each.level === level).length;
  const [errors, warnings] = [count('error'), count('warning')];
  const more = warnings > 0 ? ` Warnings: ${warnings}.` : '';
  if (worstLevel(findings) !== 'error') return `${paint.green('The relay can start.')}${more}`;
  return `${paint.red(`${errors} to put right before the relay can work.`)}${more}`;
}
