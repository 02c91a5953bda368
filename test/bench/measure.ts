/**
 * One measurement of one contestant: throughput, or the latency of a server that has nothing else to do.
 *
 * A throughput run counts only when every mail arrived, none more, and every sample that was sent meanwhile arrived with
 * its body unchanged and a DKIM signature that verifies. Otherwise it throws, and there is no figure.
 */
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { type DkimKey, DOMAIN, pause, type Running, SAMPLE_DOMAIN, SLOW_DOMAIN } from './contestant.ts';
import { type Mode, sampleBody, sendBacklog, sendBulk, sendSample } from './load.ts';
import { cpuMicroseconds, peakMebibytes, resetPeak } from './processes.ts';
import type { Captured, CapturingSink, CountingSink } from './sinks.ts';

export interface Bench {
  readonly bulk: CountingSink;
  readonly samples: CapturingSink;
  /** Takes `SLOW_HOP_MS` for each message. */
  readonly slow: CapturingSink;
  readonly dkim: DkimKey;
}

export interface Throughput {
  readonly messages: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly cpuMicrosecondsPerMessage: number;
  readonly peakMebibytes: number;
  readonly samplesVerified: number;
}

export interface Latency {
  /** From the final 250 to the arrival at the next hop, in ms; below zero when the mail was there before the answer. */
  readonly replyToNextHopMs: readonly number[];
  readonly connectTo250Ms: readonly number[];
}

/** Urgent mail while a backlog of bulk waits for a slow next hop. */
export interface Backlog {
  /** Bulk messages that were queued, and how many of them the slow hop had when the last reset was sent. */
  readonly queued: number;
  readonly gone: number;
  readonly peakMebibytes: number;
  /** From the final 250 to the final dot at the next hop, in ms; null for one that had not arrived after `RESET_PATIENCE_MS`. */
  readonly idleMs: readonly (number | null)[];
  readonly fastHopMs: readonly (number | null)[];
  readonly slowHopMs: readonly (number | null)[];
}

/** What the slow next hop takes for each message, before it answers. */
export const SLOW_HOP_MS = 1000;
/** A reset that takes longer than this counts as not arrived. */
export const RESET_PATIENCE_MS = 60_000;
const RESET_EVERY_MS = 50;
const SAMPLE_EVERY_MS = 250;
/** Without a mail for this long, a run is given up. */
const PATIENCE_MS = 20_000;
const LOOK_EVERY_MS = 5;
/** Work that follows the last mail (results recorded, queue files removed) belongs to the mails: its CPU time counts. */
const AFTERMATH_MS = 1_500;

let tokens = 0;
const nextToken = (): string => `s${process.pid}n${++tokens}`;

/** Sends `messages` in `mode` and waits until the sink has them all. */
export async function measureThroughput(
  bench: Bench,
  running: Running,
  mode: Mode,
  messages: number,
): Promise<Throughput> {
  resetPeak(running.pids);
  const cpuBefore = cpuMicroseconds(running.pids);
  const countBefore = bench.bulk.count();
  const over = new AbortController();
  const sampling = sampleUntil(running.port, over.signal);
  const began = performance.now();
  const sending = sendBulk(running.port, mode, messages);
  const arriving = untilArrived(bench.bulk, countBefore + messages, over.signal);
  let ended: number;
  try {
    [, ended] = await Promise.all([sending, arriving]);
  } finally {
    over.abort();
  }
  const sampled = await sampling;
  for (const token of sampled) await verifySample(bench, token, await bench.samples.arrival(token, PATIENCE_MS));
  await pause(AFTERMATH_MS);
  const arrived = bench.bulk.count() - countBefore;
  if (arrived !== messages) throw new Error(`${messages} mails were sent and ${arrived} arrived`);
  if (sampled.length === 0) throw new Error('no sample was sent: the run was too short');
  const seconds = (ended - began) / 1000;
  const cpu = cpuMicroseconds(running.pids) - cpuBefore;
  return {
    messages,
    seconds,
    perSecond: messages / seconds,
    cpuMicrosecondsPerMessage: cpu / (messages + sampled.length),
    peakMebibytes: peakMebibytes(running.pids),
    samplesVerified: sampled.length,
  };
}

/** Sends `count` mails, one after the other, each on its own connection, to a server that is otherwise idle. */
export async function measureLatency(bench: Bench, running: Running, count: number): Promise<Latency> {
  const replyToNextHopMs: number[] = [];
  const connectTo250Ms: number[] = [];
  for (let i = 0; i < count; i++) {
    const token = nextToken();
    const sent = await sendSample(running.port, token);
    const captured = await bench.samples.arrival(token, PATIENCE_MS);
    await verifySample(bench, token, captured);
    replyToNextHopMs.push(captured.at - sent.repliedAt);
    connectTo250Ms.push(sent.connectTo250Ms);
    await pause(20);
  }
  return { replyToNextHopMs, connectTo250Ms };
}

/** Queues `bulk` messages for the slow hop, then sends `resets` to the fast one and as many to the slow one. */
export async function measureBacklog(bench: Bench, running: Running, bulk: number, resets: number): Promise<Backlog> {
  const idleMs = await sendResets(bench.samples, running.port, SAMPLE_DOMAIN, resets);
  const before = bench.slow.count();
  resetPeak(running.pids);
  await sendBacklog(running.port, bulk);
  const fastHopMs = await sendResets(bench.samples, running.port, SAMPLE_DOMAIN, resets);
  const slowHopMs = await sendResets(bench.slow, running.port, SLOW_DOMAIN, resets);
  const gone = bench.slow.count() - before - slowHopMs.filter((ms) => ms !== null).length;
  return { queued: bulk, gone, peakMebibytes: peakMebibytes(running.pids), idleMs, fastHopMs, slowHopMs };
}

/** Sends `count` resets one after the other without waiting for their arrival, then waits for all of them. */
async function sendResets(
  sink: CapturingSink,
  port: number,
  domain: string,
  count: number,
): Promise<readonly (number | null)[]> {
  const arrivals: Promise<number | null>[] = [];
  for (let i = 0; i < count; i++) {
    const token = nextToken();
    const sent = await sendSample(port, token, domain);
    arrivals.push(
      sink.arrival(token, RESET_PATIENCE_MS).then(
        (captured) => captured.at - sent.repliedAt,
        () => null,
      ),
    );
    await pause(RESET_EVERY_MS);
  }
  return Promise.all(arrivals);
}

async function untilArrived(sink: CountingSink, wanted: number, signal: AbortSignal): Promise<number> {
  let seen = sink.count();
  let changedAt = performance.now();
  while (seen < wanted && !signal.aborted) {
    await pause(LOOK_EVERY_MS);
    const now = sink.count();
    if (now !== seen) changedAt = performance.now();
    else if (performance.now() - changedAt > PATIENCE_MS) throw new Error(`${wanted - now} mails did not arrive`);
    seen = now;
  }
  return performance.now();
}

async function sampleUntil(port: number, signal: AbortSignal): Promise<readonly string[]> {
  const sent: string[] = [];
  while (!signal.aborted) {
    const token = nextToken();
    await sendSample(port, token);
    sent.push(token);
    await pause(SAMPLE_EVERY_MS);
  }
  return sent;
}

async function verifySample(bench: Bench, token: string, captured: Captured): Promise<void> {
  const { results } = await dkimVerify(captured.content, { resolver: async () => [[bench.dkim.record]] });
  const verdict = results.find((result) => result.signingDomain === DOMAIN);
  if (verdict?.status.result !== 'pass') {
    throw new Error(
      `sample ${token} is not signed for ${DOMAIN}: ${verdict?.status.comment ?? verdict?.status.result ?? 'no signature'}`,
    );
  }
  const text = captured.content.toString('latin1');
  if (text.slice(text.indexOf('\r\n\r\n') + 4) !== sampleBody(token))
    throw new Error(`sample ${token} arrived changed`);
}
