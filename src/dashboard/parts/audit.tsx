/** What the link audit of a message found: hosts and verdicts, never a path or a query. */
import type { MessageDetail } from '../api/types.ts';

const MOODS: Readonly<Record<string, string>> = {
  pass: 'good',
  warn: 'wait',
  reject: 'bad',
  breach: 'bad',
  warning: 'wait',
};

export function Audit({ message }: { readonly message: MessageDetail }) {
  const { link_audit: audit, links } = message;
  if (audit === null) return null;
  return (
    <section className="panel" aria-label="Links">
      <header>
        <h2>Links</h2>
        <span className={`badge ${MOODS[audit.verdict] ?? ''}`}>{audit.verdict}</span>
      </header>
      <div className="body stack">
        {audit.findings.map((finding) => (
          <p key={`${finding.code} ${finding.host ?? ''} ${finding.part}`}>
            <span className={`badge ${MOODS[finding.severity] ?? ''}`}>{finding.code}</span>{' '}
            <span className="break">{finding.text}</span>
          </p>
        ))}
        {links.length === 0 ? (
          <p className="muted">No links.</p>
        ) : (
          <ul className="stack">
            {links.map((link) => (
              <li key={`${link.scheme} ${link.host ?? ''} ${link.kind}`} className="break">
                <span className={`badge ${MOODS[link.verdict] ?? ''}`}>{link.verdict}</span>{' '}
                <code>
                  {link.scheme === '' ? '' : `${link.scheme}:`}
                  {link.host === null ? '' : `//${link.host}`}
                </code>
                {link.shown === null ? null : <span className="text-bad"> looks like {link.shown}</span>}
                <span className="faint">
                  {' '}
                  {link.kind}
                  {link.count > 1 ? `, ${link.count} times` : ''}
                </span>
              </li>
            ))}
          </ul>
        )}
        {audit.omitted.links + audit.omitted.findings > 0 ? (
          <p className="faint">
            {audit.omitted.links} more links and {audit.omitted.findings} more findings are not kept.
          </p>
        ) : null}
      </div>
    </section>
  );
}
