/**
 * One measurement of one contestant: throughput, or the latency of a server that has nothing else to do.
 *
 * A throughput run counts only when every mail arrived, none more, and every sample that was sent meanwhile arrived with
 * its body unchanged and a DKIM signature that verifies. Otherwise it throws, and there is no figure.
 */
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { type DkimKey, DOMAIN, pause, type Running } from './contestant.ts';
import { type Mode, sampleBody, sendBulk, sendSample } from './load.ts';
import { cpuMicroseconds, peakMebibytes, resetPeak } from './processes.ts';
import type { Captured, CapturingSink, CountingSink } from './sinks.ts';

export interface Bench {
  readonly bulk: CountingSink;
  readonly samples: CapturingSink;
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
