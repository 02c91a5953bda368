/** The domains that this relay sends for: their keys, the records that must stand in DNS, and what DNS says. */
import { useSenders } from '../api/queries.ts';
import type { Sender } from '../api/types.ts';
import { Empty, Loaded } from '../parts/condition.tsx';
import { CopyButton, Time } from '../parts/show.tsx';

const MOODS: Readonly<Record<string, string>> = {
  ok: 'good',
  warning: 'wait',
  error: 'bad',
  unknown: '',
  'not-asked': '',
};

export function SendersView() {
  const senders = useSenders();
  return (
    <>
      <div className="view-head">
        <h1>Senders</h1>
        <span className="sub">the domains that this relay sends for, and what DNS says of them</span>
        <div className="actions">
          <button type="button" disabled={senders.isFetching} onClick={() => void senders.refetch()}>
            {senders.isFetching ? 'Asking ...' : 'Ask again'}
          </button>
        </div>
      </div>
      <Loaded query={senders} what="the senders">
        {({ data }) =>
          data.length === 0 ? (
            <Empty title="No sender in the config">
              <p>
                A domain under <code>senders</code> with a DKIM key is signed. <code>leadpush-relay dkim generate</code>{' '}
                makes one.
              </p>
            </Empty>
          ) : (
            <>
              {data.map((sender) => (
                <Card key={sender.domain} sender={sender} />
              ))}
            </>
          )
        }
      </Loaded>
    </>
  );
}

function Card({ sender }: { readonly sender: Sender }) {
  return (
    <section className="panel" aria-label={`Sender ${sender.domain}`}>
      <header>
        <h2>{sender.domain}</h2>
        {sender.return_path === null ? null : <span className="muted">return path {sender.return_path}</span>}
        {sender.checked_at === null || sender.checks?.every(({ verdict }) => verdict === 'not-asked') ? null : (
          <span className="faint">
            asked <Time at={sender.checked_at} />
          </span>
        )}
      </header>
      <div className="body stack">
        {sender.checks === null ? (
          <p className="muted">DNS has not answered yet.</p>
        ) : (
          <ul className="stack">
            {sender.checks.map((check) => (
              <Check key={`${check.code} ${check.name} ${check.text}`} check={check} />
            ))}
          </ul>
        )}
        {sender.dkim.length === 0 ? <p className="text-wait">No DKIM key: its mail goes unsigned.</p> : null}
        {sender.dkim.map(({ selector, algorithm, record_name, record }) => (
          <div key={selector}>
            <h3>
              DKIM {selector} <span className="faint">{algorithm}</span>
            </h3>
            <p className="break">
              <code>{record_name}</code> <span className="faint">TXT</span>{' '}
              {record === null ? (
                <span className="text-bad">the key's file cannot be read any more</span>
              ) : (
                <CopyButton text={record} label="Copy record" />
              )}
            </p>
            {record === null ? null : <pre className="reply">{record}</pre>}
          </div>
        ))}
      </div>
    </section>
  );
}

/** One finding: what, and when it is not in order, why that matters and what mends it. */
function Check({ check }: { readonly check: NonNullable<Sender['checks']>[number] }) {
  return (
    <li className="break">
      <span className={`badge ${MOODS[check.verdict] ?? ''}`}>
        {check.check} {check.verdict.replace('-', ' ')}
      </span>{' '}
      <code>{check.name}</code> {check.text}
      {check.verdict === 'ok' ? null : (
        <>
          {check.why === '' ? null : <p className="muted">{check.why}</p>}
          {check.hint === '' ? null : <p className="muted">{check.hint}</p>}
        </>
      )}
      {check.record === null || check.verdict === 'ok' ? null : (
        <p>
          <code>
            {check.record.name} {check.record.type}
          </code>{' '}
          <CopyButton text={check.record.value} label="Copy record" />
          <br />
          <code className="muted">{check.record.value}</code>
        </p>
      )}
    </li>
  );
}
