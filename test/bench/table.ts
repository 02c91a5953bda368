/** Figures of many runs as medians, ranges and ratios, and the table that a person reads. */
import { type Backlog, type Latency, SLOW_HOP_MS, type Throughput } from './measure.ts';

export interface ThroughputRow {
  readonly mode: string;
  readonly contestant: string;
  readonly rounds: readonly Throughput[];
}

export interface LatencyRow {
  readonly contestant: string;
  readonly figures: Latency;
}

export interface BacklogRow {
  readonly contestant: string;
  readonly rounds: readonly Backlog[];
}

export interface Report {
  readonly at: string;
  readonly machine: string;
  /** The machine's load average of the minute before. */
  readonly loadBefore: number;
  /** Median time of an fdatasync of 8 KiB on the disk that everything is written to. */
  readonly fsyncMsBefore: number;
  readonly settings: Readonly<Record<string, number>>;
  readonly about: Readonly<Record<string, string>>;
  readonly absent: Readonly<Record<string, string>>;
  readonly throughput: readonly ThroughputRow[];
  readonly latency: readonly LatencyRow[];
  readonly backlog: readonly BacklogRow[];
  /** Runs that gave no figure, and why. */
  readonly thrownAway: readonly string[];
}

/** The first version's goals against Postfix + OpenDKIM in the same run. */
const GOALS = { keptRatio: 2, connectionPerMailRatio: 1, cpuRatio: 1 / 2, connectTo250Ms: 15, fastHopIdleRatio: 3 };

/** The value below which the share `fraction` of `values` lies; NaN of none. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1] ?? Number.NaN, sorted[Math.floor(middle)] ?? Number.NaN];
  return (low + high) / 2;
}

const whole = (value: number): string => Math.round(value).toLocaleString('en');
const tenths = (value: number): string => value.toFixed(1);
const hundredths = (value: number): string => value.toFixed(2);
const mark = (met: boolean): string => (met ? 'met' : 'MISSED');

/** Columns as wide as their widest cell; the first is aligned left, the others right. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   ');
  return rows.map((row) => `  ${line(row).trimEnd()}`).join('\n');
}

function throughputTable(report: Report, mode: string, us: string): string {
  const rows = report.throughput.filter((row) => row.mode === mode && row.rounds.length > 0);
  const ours = rows.find((row) => row.contestant === us);
  const rate = (row: ThroughputRow | undefined): number => median(row?.rounds.map((round) => round.perSecond) ?? []);
  const body = rows.map((row) => {
    const rates = row.rounds.map((round) => round.perSecond);
    return [
      row.contestant,
      whole(median(rates)),
      `${whole(Math.min(...rates))} .. ${whole(Math.max(...rates))}`,
      row === ours || ours === undefined ? '' : `${tenths(rate(ours) / rate(row))} x`,
      whole(median(row.rounds.map((round) => round.cpuMicrosecondsPerMessage))),
      whole(Math.max(...row.rounds.map((round) => round.peakMebibytes))),
      `${whole(row.rounds.reduce((sum, round) => sum + round.messages, 0))} / ${row.rounds.reduce((sum, round) => sum + round.samplesVerified, 0)}`,
    ];
  });
  const head = ['', 'msg/s median', 'range', 'relay is', 'CPU us/msg', 'peak MiB', 'arrived / verified'];
  return `${mode}\n${columns([head, ...body])}`;
}

function latencyTable(report: Report): string {
  const body = report.latency.map(({ contestant, figures }) => [
    contestant,
    hundredths(quantile(figures.replyToNextHopMs, 0.5)),
    hundredths(quantile(figures.replyToNextHopMs, 0.99)),
    hundredths(quantile(figures.connectTo250Ms, 0.5)),
    hundredths(quantile(figures.connectTo250Ms, 0.99)),
  ]);
  return `idle, one mail at a time, ms\n${columns([['', '250 to next hop p50', 'p99', 'connect to 250 p50', 'p99'], ...body])}`;
}

type Resets = (figures: Backlog) => readonly (number | null)[];

/** Median over the rounds of the milliseconds at `fraction` of the resets; those that never came count as endless. */
function resetQuantile(row: BacklogRow, resets: Resets, fraction: number): number {
  return median(
    row.rounds.map((figures) =>
      quantile(
        resets(figures).map((ms) => ms ?? Number.POSITIVE_INFINITY),
        fraction,
      ),
    ),
  );
}

const shownMs = (ms: number): string => (Number.isFinite(ms) ? tenths(ms) : 'none');
const FAST: Resets = (figures) => figures.fastHopMs;
const SLOW: Resets = (figures) => figures.slowHopMs;
const IDLE: Resets = (figures) => figures.idleMs;

function backlogTable(report: Report): string {
  const body = report.backlog.map((row) => [
    row.contestant,
    `${whole(median(row.rounds.map(({ queued }) => queued)))} (${whole(median(row.rounds.map(({ gone }) => gone)))} gone)`,
    ...[IDLE, FAST, SLOW].flatMap((resets) => [
      shownMs(resetQuantile(row, resets, 0.5)),
      shownMs(resetQuantile(row, resets, 0.99)),
    ]),
    whole(Math.max(...row.rounds.map(({ peakMebibytes }) => peakMebibytes))),
  ]);
  const head = ['', 'bulk queued', 'idle p50', 'p99', 'fast hop p50', 'p99', 'slow hop p50', 'p99', 'peak MiB'];
  return `resets while bulk waits for a slow next hop (${SLOW_HOP_MS} ms a message), 250 to next hop, ms\n${columns([head, ...body])}`;
}

function backlogGoals(report: Report, us: string, peer: string): string[][] {
  const ours = report.backlog.find((row) => row.contestant === us);
  if (ours === undefined) return [];
  const fast = resetQuantile(ours, FAST, 0.99);
  const slow = resetQuantile(ours, SLOW, 0.99);
  const ratio = fast / resetQuantile(ours, IDLE, 0.99);
  const theirs = report.backlog.find((row) => row.contestant === peer);
  const beside = (ms: number, resets: Resets): string => {
    const other = theirs === undefined ? Number.NaN : resetQuantile(theirs, resets, 0.99);
    if (Number.isNaN(other)) return '';
    return Number.isFinite(other) ? `, ${hundredths(ms / other)} x ${peer}` : `, ${peer} none in time`;
  };
  return [
    [
      'backlog: resets to the fast hop, p99',
      `${tenths(ratio)} x idle${beside(fast, FAST)}`,
      `at most ${GOALS.fastHopIdleRatio} x idle`,
      mark(ratio <= GOALS.fastHopIdleRatio),
    ],
    [
      'backlog: resets to the slow hop, p99',
      `${tenths(slow)} ms${beside(slow, SLOW)}`,
      `at most ${SLOW_HOP_MS} ms`,
      mark(slow <= SLOW_HOP_MS),
    ],
  ];
}

function goals(report: Report, us: string, peer: string): string {
  const lines: string[][] = [];
  for (const mode of new Set(report.throughput.map((row) => row.mode))) {
    const of = (name: string, pick: (round: Throughput) => number): number =>
      median(report.throughput.find((row) => row.mode === mode && row.contestant === name)?.rounds.map(pick) ?? []);
    const rate = of(us, (round) => round.perSecond) / of(peer, (round) => round.perSecond);
    const cpu =
      of(us, (round) => round.cpuMicrosecondsPerMessage) / of(peer, (round) => round.cpuMicrosecondsPerMessage);
    if (Number.isNaN(rate)) continue;
    const floor = mode.includes('kept') ? GOALS.keptRatio : GOALS.connectionPerMailRatio;
    lines.push([`${mode}: throughput`, `${tenths(rate)} x`, `at least ${floor} x`, mark(rate >= floor)]);
    lines.push([
      `${mode}: CPU a message`,
      `${cpu.toFixed(2)} x`,
      `at most ${GOALS.cpuRatio} x`,
      mark(cpu <= GOALS.cpuRatio),
    ]);
  }
  const p50 = (name: string, pick: (figures: Latency) => readonly number[]): number =>
    quantile(
      report.latency.filter((row) => row.contestant === name).flatMap((row) => pick(row.figures)),
      0.5,
    );
  const [hop, peerHop] = [p50(us, (f) => f.replyToNextHopMs), p50(peer, (f) => f.replyToNextHopMs)];
  const connect = p50(us, (f) => f.connectTo250Ms);
  if (!Number.isNaN(hop) && !Number.isNaN(peerHop)) {
    lines.push([
      'idle, 250 to next hop p50',
      `${tenths(hop)} ms`,
      `at most ${tenths(peerHop)} ms`,
      mark(hop <= peerHop),
    ]);
  }
  if (!Number.isNaN(connect)) {
    lines.push([
      'idle, connect to 250 p50',
      `${tenths(connect)} ms`,
      `at most ${GOALS.connectTo250Ms} ms`,
      mark(connect <= GOALS.connectTo250Ms),
    ]);
  }
  lines.push(...backlogGoals(report, us, peer));
  return lines.length === 0 ? '' : `goals against ${peer}\n${columns(lines)}`;
}

/** The report in words; `us` and `peer` are the contestants whose ratio the goals are about. */
export function describe(report: Report, us: string, peer: string): string {
  const measured = report.throughput.filter((row) => row.rounds.length > 0);
  const modes = [...new Set(measured.map((row) => row.mode))];
  const facts = Object.entries(report.about).map(([name, about]) => [name, about]);
  const absences = Object.entries(report.absent).map(([name, reason]) => [name, `did not run: ${reason}`]);
  const failures = report.thrownAway.map((failure) => `  thrown away: ${failure}`).join('\n');
  return [
    `${report.at}, ${report.machine}, load before the run ${tenths(report.loadBefore)}, fsync ${report.fsyncMsBefore.toFixed(2)} ms\n4 KB mail, RSA-2048 signed, from the first byte sent until the next hop has all`,
    [...facts, ...absences].map(([name, text]) => `  ${name}: ${text}`).join('\n'),
    ...modes.map((mode) => throughputTable(report, mode, us)),
    report.latency.length === 0 ? '' : latencyTable(report),
    report.backlog.length === 0 ? '' : backlogTable(report),
    goals(report, us, peer),
    failures,
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}
