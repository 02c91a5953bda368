/** CPU time and memory of process trees, from /proc. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** The kernel's clock ticks a second as /proc shows them; 100 on every Linux of today. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of the process and of its children that have ended, in ticks. */
  readonly ticks: number;
}

function stats(): Stat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const text = readOrEmpty(`/proc/${name}/stat`);
      // The command, in brackets, may hold anything; the fields after it are plain.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      if (fields.length < 15) return [];
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      return [{ pid: Number(name), parent: Number(fields[1]), ticks }];
    });
}

/** A process may end while it is looked at: then there is nothing to read. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function tree(roots: readonly number[]): Stat[] {
  const all = stats();
  const found = new Set(roots);
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return all.filter(({ pid }) => found.has(pid));
}

/** CPU microseconds that the trees under `roots` have used so far. */
export function cpuMicroseconds(roots: readonly number[]): number {
  return (tree(roots).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND) * 1e6;
}

/**
 * Peak resident memory in MiB (VmHWM), summed over the trees. Memory that is backed by files or shared counts once, as much as
 * the process with most of it has: processes of one program share it.
 */
export function peakMebibytes(roots: readonly number[]): number {
  const processes = tree(roots).map(({ pid }) => {
    const status = readOrEmpty(`/proc/${pid}/status`);
    const kibibytes = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    const shared = kibibytes('RssFile') + kibibytes('RssShmem');
    return { shared, own: Math.max(0, kibibytes('VmHWM') - shared) };
  });
  const own = processes.reduce((sum, process) => sum + process.own, 0);
  return (own + Math.max(0, ...processes.map((process) => process.shared))) / 1024;
}

/** Starts the peak anew; needs the same user as the processes, or root. */
export function resetPeak(roots: readonly number[]): void {
  for (const { pid } of tree(roots)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Ended just now: it has no peak to reset.
    }
  }
}
