/**
 * What is kept of the links in a message: schemes, hosts and verdicts, never a path, a query, a fragment or a user name. Kept with
 * the message, shown in trace and API. `policy/links.ts` makes it; its codes are listed in `policy/link-findings.ts`.
 */

export type LinkVerdict = 'pass' | 'warn' | 'reject';

export interface LinkAudit {
  readonly verdict: LinkVerdict;
  /** Worst first, bounded in number. */
  readonly links: readonly AuditedLink[];
  /** Breaches first, bounded in number. */
  readonly findings: readonly LinkFinding[];
  /** What the two lists leave out. */
  readonly omitted: { readonly links: number; readonly findings: number };
}

/** Links of one kind to one host. */
export interface AuditedLink {
  /** Empty: the link has none. */
  readonly scheme: string;
  /** Lower case, A-labels; null: it has none, or none that is kept. */
  readonly host: string | null;
  /** The host in the letters that people see; null when that is the same. */
  readonly shown: string | null;
  readonly kind: string;
  readonly count: number;
  readonly verdict: LinkVerdict;
  readonly codes: readonly string[];
}

export interface LinkFinding {
  readonly code: string;
  readonly severity: 'breach' | 'warning';
  readonly part: 'text' | 'html' | 'message';
  readonly host: string | null;
  /** How often. */
  readonly count: number;
  /** For the developer of the app: printable ASCII, one line. */
  readonly text: string;
}
