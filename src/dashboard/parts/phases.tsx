/** The phases of one attempt as a small bar, to one scale for all attempts of a message, with the figures beside it. */
import { span } from '../lib/time.ts';

const ORDER = ['queue', 'connect', 'tls', 'session', 'transaction'] as const;
const MEANINGS: Readonly<Record<string, string>> = {
  queue: 'wait before the attempt',
  connect: 'TCP connection',
  tls: 'TLS handshake',
  session: 'greeting, EHLO, AUTH',
  transaction: 'MAIL to the answer to the final dot',
};

/** `scaleMs` fills the bar. */
export function Phases({
  timings,
  scaleMs,
}: {
  readonly timings: Readonly<Record<string, number>>;
  readonly scaleMs: number;
}) {
  const parts = ORDER.flatMap((phase) => {
    const ms = timings[phase];
    return ms === undefined ? [] : [{ phase, ms }];
  });
  if (parts.length === 0) return null;
  const said = parts.map(({ phase, ms }) => `${phase} ${span(ms)}`).join(', ');
  return (
    <div className="phases">
      <div className="phase-bar" role="img" aria-label={`Phases: ${said}`}>
        {parts
          .filter(({ phase }) => phase !== 'queue')
          .map(({ phase, ms }) => (
            <span
              key={phase}
              className={`phase ${phase}`}
              title={`${MEANINGS[phase] ?? phase}: ${span(ms)}`}
              style={{ width: `${Math.max(0.6, (100 * ms) / Math.max(1, scaleMs))}%` }}
            />
          ))}
      </div>
      <ul className="phase-list" aria-hidden="true">
        {parts.map(({ phase, ms }) => (
          <li key={phase} title={MEANINGS[phase]}>
            <span className={`dot ${phase}`} />
            {phase} <b>{span(ms)}</b>
          </li>
        ))}
      </ul>
    </div>
  );
}
