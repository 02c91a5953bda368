/**
 * What the process itself uses, under the names that every Prometheus client has for it. prom-client's own set is not used:
 * it watches garbage collection and timers all the time, and names some gauges as if they were counters.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { Clock } from '../core/time.ts';
import type { Instruments } from './instruments.ts';

/** Makes the metrics; the function returned reads them anew, and never rejects. */
export function createProcessFigures(make: Instruments, clock: Clock): () => Promise<void> {
  const cpu = make.counter('processCpu');
  const start = make.gauge('processStart');
  const memory = make.gauge('processMemory');
  const fds = make.gauge('processFds');
  const maxFds = make.gauge('processMaxFds');
  const heap = make.gauge('heapUsed');
  const external = make.gauge('externalMemory');
  start.set(Math.round(clock.now() / 1000 - process.uptime()));
  let counted = 0;
  return async () => {
    const { user, system } = process.cpuUsage();
    const seconds = (user + system) / 1e6;
    cpu.inc(Math.max(0, seconds - counted));
    counted = seconds;
    const { rss, heapUsed, external: externalBytes } = process.memoryUsage();
    memory.set(rss);
    heap.set(heapUsed);
    external.set(externalBytes);
    const [open, most] = await Promise.all([openFiles(), mostFiles()]);
    // Where the system does not tell, the series is missing: 0 would be a lie.
    if (open === null) fds.remove();
    else fds.set(open);
    if (most === null) maxFds.remove();
    else maxFds.set(most);
  };
}

async function openFiles(): Promise<number | null> {
  // One of them is the look itself.
  const names = await readdir('/proc/self/fd').catch(() => null);
  return names === null ? null : names.length - 1;
}

async function mostFiles(): Promise<number | null> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? null : Number(soft);
}
