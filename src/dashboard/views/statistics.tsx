/** How much, how fast, what became of it, and what stood in the way, over time and by tag. */
import { useStats } from '../api/queries.ts';
import type { Stats, TagStats } from '../api/types.ts';
import { addressOf, navigate, usePlace } from '../lib/router.ts';
import { moodOf, STATES } from '../lib/states.ts';
import { count, span } from '../lib/time.ts';
import { Chart, type Series } from '../parts/chart.tsx';
import { Empty, Loaded } from '../parts/condition.tsx';
import { FaultTable } from '../parts/faults.tsx';
import { Link } from '../parts/link.tsx';
import { Command } from '../parts/show.tsx';

interface Span {
  readonly value: string;
  readonly name: string;
  readonly bucket: string;
  readonly bucketMs: number;
}

const MINUTE_MS = 60_000;

const DAY: Span = { value: '24h', name: '24 hours', bucket: '15m', bucketMs: 15 * MINUTE_MS };
const SPANS: readonly Span[] = [
  { value: '1h', name: '1 hour', bucket: '5m', bucketMs: 5 * MINUTE_MS },
  { value: '6h', name: '6 hours', bucket: '5m', bucketMs: 5 * MINUTE_MS },
  DAY,
  { value: '7d', name: '7 days', bucket: '2h', bucketMs: 120 * MINUTE_MS },
  { value: '30d', name: '30 days', bucket: '6h', bucketMs: 360 * MINUTE_MS },
];
/** More lines than that cannot be told apart. */
const MAX_LINES = 6;
const NO_TAG = 'no tag';

export function StatisticsView() {
  const { query } = usePlace();
  const chosen = SPANS.find(({ value }) => value === query.get('span')) ?? DAY;
  const tag = query.get('tag') ?? '';
  const stats = useStats(chosen.value, chosen.bucket, tag);
  const set = (change: { readonly span?: string; readonly tag?: string }): void =>
    navigate(addressOf('/statistics', { span: chosen.value, tag, ...change }), 'replace');
  const names = stats.data?.tags.map(({ tag: name }) => name ?? '').filter((name) => name !== '') ?? [];
  return (
    <>
      <div className="view-head">
        <h1>Statistics</h1>
        <div className="actions">
          <select aria-label="Tag" value={tag} onChange={(event) => set({ tag: event.target.value })}>
            <option value="">All tags</option>
            {[...new Set([...names, ...(tag === '' ? [] : [tag])])].map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
          <span className="segments" role="group" aria-label="Span">
            {SPANS.map(({ value, name }) => (
              <button
                key={value}
                type="button"
                aria-pressed={value === chosen.value}
                onClick={() => set({ span: value })}
              >
                {name}
              </button>
            ))}
          </span>
        </div>
      </div>
      <Loaded query={stats} what="the statistics">
        {(data) =>
          data.tags.length === 0 ? (
            <section className="panel">
              <Empty title={`Nothing was accepted in the last ${chosen.name}`}>
                <p>Choose a longer span, or send a test mail on the relay's machine:</p>
                <Command text="npx leadpush-relay send" />
              </Empty>
            </section>
          ) : (
            <Figures stats={data} tag={tag} bucketMs={chosen.bucketMs} />
          )
        }
      </Loaded>
    </>
  );
}

function Figures({ stats, tag, bucketMs }: { readonly stats: Stats; readonly tag: string; readonly bucketMs: number }) {
  const byTime = new Map(stats.buckets.map(({ from, tags }) => [Date.parse(from), tags]));
  const starts = startsBetween(Date.parse(stats.since), Date.parse(stats.until), bucketMs);
  const shown = stats.tags.slice(0, MAX_LINES);
  const valueOf = (name: string | null, read: (row: TagStats) => number | null): readonly (number | null)[] =>
    starts.map((start) => {
      const row = byTime.get(start)?.find((each) => each.tag === name);
      return row === undefined ? null : read(row);
    });
  const times = starts.map((start) => start / 1000);
  const latency: readonly Series[] =
    tag === ''
      ? shown.map(({ tag: name }) => ({
          name: name ?? NO_TAG,
          values: valueOf(name, ({ delivered_ms }) => delivered_ms.p95),
        }))
      : (['p50', 'p95', 'p99'] as const).map((which) => ({
          name: which,
          values: valueOf(tag, ({ delivered_ms }) => delivered_ms[which]),
        }));
  const volume: readonly Series[] = shown.map(({ tag: name }) => ({
    name: name ?? NO_TAG,
    values: valueOf(name, ({ accepted }) => accepted).map((value) => value ?? 0),
  }));
  return (
    <>
      <section className="panel" aria-label="Time to delivery">
        <header>
          <h2>Time from acceptance to the next hop's 250</h2>
          <span className="muted">{tag === '' ? '95th percentile by tag' : 'percentiles'}</span>
        </header>
        <Chart times={times} series={latency} format={(ms) => span(ms)} scale="log" label="Time to delivery" />
      </section>
      <section className="panel" aria-label="Volume">
        <header>
          <h2>Accepted</h2>
          <span className="muted">
            deliveries by tag
            {stats.tags.length > shown.length ? `, the busiest ${shown.length} of ${stats.tags.length}` : ''}
          </span>
        </header>
        <Chart
          times={times}
          series={volume}
          format={(value) => count(value)}
          scale="linear"
          label="Accepted deliveries"
        />
      </section>
      <section className="panel" aria-label="Outcomes">
        <header>
          <h2>Outcomes</h2>
        </header>
        <table className="cards">
          <thead>
            <tr>
              <th scope="col">Tag</th>
              <th scope="col" className="right">
                Accepted
              </th>
              <th scope="col">Became</th>
              <th scope="col" className="right">
                p50
              </th>
              <th scope="col" className="right">
                p95
              </th>
              <th scope="col" className="right">
                p99
              </th>
            </tr>
          </thead>
          <tbody>
            {stats.tags.map((row) => (
              <tr key={row.tag ?? ''}>
                <td className="line">
                  <Link href={addressOf('/', { tag: row.tag ?? '' })}>{row.tag ?? NO_TAG}</Link>
                </td>
                <td className="right number" data-name="accepted">
                  {count(row.accepted)}
                </td>
                <td className="line">
                  <Shares row={row} />
                </td>
                {(['p50', 'p95', 'p99'] as const).map((which) => {
                  const ms = row.delivered_ms[which];
                  return (
                    <td key={which} className="right nowrap number" data-name={which}>
                      {ms === null ? <span className="faint">none</span> : span(ms)}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section className="panel" aria-label="What stood in the way">
        <header>
          <h2>What stood in the way</h2>
          <span className="muted">tries that did not deliver, by reason</span>
        </header>
        {stats.faults.length === 0 ? (
          <Empty title="Every try delivered" />
        ) : (
          <FaultTable faults={stats.faults} withRoute />
        )}
      </section>
    </>
  );
}

/** The beginning of every bucket of the span, also of those in which nothing was accepted. */
function startsBetween(since: number, until: number, bucketMs: number): readonly number[] {
  const first = Math.floor(since / bucketMs) * bucketMs;
  return Array.from(
    { length: Math.max(1, Math.ceil((until - first) / bucketMs)) },
    (_, index) => first + index * bucketMs,
  );
}

/** What became of the deliveries of a tag: a bar of shares, and the figures. */
function Shares({ row }: { readonly row: TagStats }) {
  const ended = Object.values(row.states).reduce((sum, number) => sum + number, 0);
  const open = Math.max(0, row.accepted - ended);
  const parts = [
    ...STATES.flatMap((state) => {
      const number = row.states[state] ?? 0;
      return number > 0 ? [{ state, number }] : [];
    }),
    ...(open > 0 ? [{ state: 'open', number: open }] : []),
  ].sort((a, b) => b.number - a.number);
  return (
    <>
      <div className="shares" aria-hidden="true">
        {parts.map(({ state, number }) => (
          <span
            key={state}
            className={`share ${state === 'open' ? 'wait' : moodOf(state)}`}
            title={`${state} ${count(number)}`}
            style={{ width: `${(100 * number) / Math.max(1, row.accepted)}%` }}
          />
        ))}
      </div>
      <p className="muted small-text">
        {parts.map(({ state, number }) => `${state} ${shareText(number, row.accepted)}`).join(', ')}
      </p>
    </>
  );
}

function shareText(number: number, whole: number): string {
  const share = (100 * number) / Math.max(1, whole);
  return share >= 99.95 ? `all ${count(number)}` : `${count(number)} (${share < 0.1 ? '<0.1' : share.toFixed(1)} %)`;
}
