/**
 * A link audit as text for a terminal: the verdict, each finding with what to do, then every host. No colour, no control
 * characters; host names are shown as A-labels, with the letters that people see behind them.
 */
import type { AuditedLink, LinkAudit } from '../core/link-audit.ts';

const VERDICTS: Readonly<Record<LinkAudit['verdict'], string>> = {
  pass: 'pass: the message keeps to the link policy',
  warn: 'warn: the message is accepted, with findings',
  reject: 'reject: the message is refused',
};

/** `audit` as lines, with a line end after the last. */
export function formatAudit(audit: LinkAudit): string {
  const lines = [VERDICTS[audit.verdict]];
  if (audit.findings.length > 0) lines.push('');
  for (const { severity, code, count, text } of audit.findings) {
    lines.push(`${severity.padEnd(7)}  ${code}${times(count)}`, `         ${text}`);
  }
  if (audit.omitted.findings > 0) lines.push(`         and ${audit.omitted.findings} more findings`);
  if (audit.links.length > 0) lines.push('', 'links');
  for (const link of audit.links) lines.push(`  ${linkLine(link)}`);
  if (audit.omitted.links > 0) lines.push(`  and ${audit.omitted.links} more`);
  return `${lines.join('\n')}\n`;
}

function linkLine({ verdict, kind, scheme, host, shown, count, codes }: AuditedLink): string {
  const target =
    host === null ? (scheme === '' ? '(no host)' : `${scheme}:`) : scheme === '' ? host : `${scheme}://${host}`;
  const seen = shown === null ? '' : ` (${shown})`;
  const why = codes.length === 0 ? '' : `  ${codes.join(' ')}`;
  return `${verdict.padEnd(6)}  ${kind.padEnd(10)}  ${target}${seen}${times(count)}${why}`;
}

function times(count: number): string {
  return count > 1 ? ` (${count} times)` : '';
}
