/** The relay in four figures: what came in, how fast recovery mail goes out, what waits, which routes are down. */
import { useQueue, useRoutes, useStats } from '../api/queries.ts';
import { count, span } from '../lib/time.ts';
import { Link } from './link.tsx';

const RECOVERY: ReadonlySet<string | null> = new Set([
  'password-reset',
  'admin-reset',
  'compromised-account',
  'otp',
  'magic-link',
]);

export function Summary() {
  const stats = useStats('1h', '5m', '').data;
  const queue = useQueue().data;
  const routes = useRoutes().data;
  const accepted = stats?.tags.reduce((sum, row) => sum + row.accepted, 0);
  const slowest = stats?.tags
    .filter(({ tag }) => RECOVERY.has(tag))
    .reduce<number | null>(
      (worst, { delivered_ms: { p95 } }) => (p95 === null ? worst : Math.max(worst ?? 0, p95)),
      null,
    );
  const down = routes?.data.filter(({ breaker }) => breaker !== 'closed') ?? [];
  return (
    <div className="tiles" aria-label="The relay now">
      <Tile
        href="/statistics?span=1h"
        name="Accepted in the last hour"
        value={accepted === undefined ? '' : count(accepted)}
      />
      <Tile
        href="/statistics?span=1h"
        name="Recovery mail, 95 % within"
        value={slowest == null ? 'none yet' : span(slowest)}
        mood={slowest != null && slowest > 10_000 ? 'wait' : ''}
      />
      <Tile
        href="/queue"
        name="Waiting"
        value={queue === undefined ? '' : `${count(queue.data.length)}${queue.has_more ? ' or more' : ''}`}
        mood={queue !== undefined && queue.data.length > 0 ? 'wait' : ''}
      />
      <Tile
        href="/routes"
        name="Routes"
        value={
          routes === undefined ? '' : down.length === 0 ? 'all up' : `${down.map(({ name }) => name).join(', ')} down`
        }
        mood={down.length > 0 ? 'bad' : 'good'}
      />
    </div>
  );
}

function Tile({
  href,
  name,
  value,
  mood = '',
}: {
  readonly href: string;
  readonly name: string;
  readonly value: string;
  readonly mood?: string;
}) {
  return (
    <Link href={href} className="tile">
      <span className="name">{name}</span>
      <span className={`value ${mood}`}>{value === '' ? ' ' : value}</span>
    </Link>
  );
}
