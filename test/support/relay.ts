/**
 * Starts the real relay as a user does (`node src/main.ts serve --config FILE`) and talks to the outside of it only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { LOG_FIELDS } from '../../src/telemetry/fields.ts';

const MAIN = path.join(import.meta.dirname, '../../src/main.ts');
const START_TIMEOUT_MS = 20_000;

export type LogLine = Readonly<Record<string, unknown>>;

/** What a line may hold: the published fields, and what every line has. */
const PUBLISHED: ReadonlySet<string> = new Set(['level', 'time', 'msg', ...Object.keys(LOG_FIELDS)]);
/** `room.what-happened`. */
const EVENT_NAME = /^[a-z]+\.[a-z-]+$/;

export interface RelayHome {
  readonly dir: string;
  readonly configFile: string;
  readonly database: string;
  /** Writes a new config (an object, turned into YAML). */
  configure(config: Readonly<Record<string, unknown>>): Promise<void>;
  /** Starts the relay and waits until it says that it is ready. */
  start(extra?: { readonly env?: NodeJS.ProcessEnv; readonly wrap?: readonly string[] }): Promise<RelayProcess>;
  /** Runs another command of the program to its end. */
  cli(
    args: readonly string[],
    input?: string,
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
  remove(): Promise<void>;
}

export interface RelayProcess {
  readonly pid: number;
  /** One per listener, in the order of the config. */
  readonly smtpPorts: readonly number[];
  readonly smtpPort: number;
  readonly httpPort: number;
  readonly log: readonly LogLine[];
  readonly stderr: () => string;
  /** Resolves with the first line, past or future, that `matches`. */
  line(matches: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and the exit code; rejects when the relay logged a field that is not published, or a line without an event. */
  stop(): Promise<number>;
  /** SIGKILL, and wait for the end. */
  kill9(): Promise<void>;
  readonly exited: Promise<number | null>;
}

/** The config that tests start from: every port free, loopback trusted, a sandbox route. */
export function sandboxConfig(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    hostname: 'relay.example.com',
    data: './data',
    smtp: {
      listeners: [{ host: '127.0.0.1', port: 0, tls: 'starttls' }],
      trusted_networks: ['127.0.0.0/8'],
    },
    http: { host: '127.0.0.1', port: 0 },
    senders: [{ domain: 'example.com', dkim: [] }],
    routes: { sandbox: { type: 'sandbox' } },
    rules: [{ name: 'default', via: ['sandbox'] }],
    log: { level: 'info' },
    ...over,
  };
}

/** A folder of its own with a config; remove it at the end. */
export async function createRelayHome(config: Readonly<Record<string, unknown>> = sandboxConfig()): Promise<RelayHome> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'leadpush-test-'));
  const configFile = path.join(dir, 'relay.yaml');
  const configure = (next: Readonly<Record<string, unknown>>): Promise<void> => writeFile(configFile, stringify(next));
  await configure(config);
  return {
    dir,
    configFile,
    database: path.join(dir, 'data', 'relay.db'),
    configure,
    start: (extra = {}) => startRelay(configFile, extra.env ?? {}, extra.wrap ?? []),
    cli: (args, input = '') => runCli(args, configFile, input),
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

async function startRelay(configFile: string, env: NodeJS.ProcessEnv, wrap: readonly string[]): Promise<RelayProcess> {
  const args = [...wrap, process.execPath, MAIN, 'serve', '--config', configFile];
  const child = spawn(args[0] ?? '', args.slice(1), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: LogLine[] = [];
  let stranger: string | null = null;
  const refuseStrangers = (): void => {
    if (stranger !== null) throw new Error(`not published in src/telemetry/README.md: ${stranger}`);
  };
  const watchers = new Set<(line: LogLine) => void>();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = parseLine(text);
    if (line === null) return;
    log.push(line);
    const strange = strangenessOf(line);
    if (strange !== null) stranger ??= `${strange} in the log line ${text}`;
    for (const watcher of watchers) watcher(line);
  });
  const exited = waitForExit(child);

  const line = (matches: (line: LogLine) => boolean, timeoutMs = START_TIMEOUT_MS): Promise<LogLine> => {
    const found = log.find(matches);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const done = (): void => {
        watchers.delete(watcher);
        clearTimeout(timer);
      };
      const watcher = (candidate: LogLine): void => {
        if (!matches(candidate)) return;
        done();
        resolve(candidate);
      };
      const timer = setTimeout(() => {
        done();
        reject(
          new Error(`no such log line within ${timeoutMs} ms; stderr: ${stderr}; last: ${JSON.stringify(log.at(-1))}`),
        );
      }, timeoutMs);
      watchers.add(watcher);
    });
  };

  const ready = await Promise.race([line((entry) => entry['event'] === 'relay.ready'), exited]).catch(
    (error: unknown) => {
      child.kill('SIGKILL');
      throw error;
    },
  );
  if (ready === null || typeof ready === 'number') {
    throw new Error(`the relay ended with ${ready} before it was ready: ${stderr}${JSON.stringify(log)}`);
  }
  const smtpPorts = log.filter((entry) => entry['event'] === 'smtp.listening').map((entry) => Number(entry['port']));
  const httpPort = Number(log.find((entry) => entry['event'] === 'http.listening')?.['port']);
  const pid = Number(ready['pid']);

  return {
    pid,
    smtpPorts,
    smtpPort: smtpPorts[0] ?? 0,
    httpPort,
    log,
    stderr: () => stderr,
    line,
    signal: (signal) => void process.kill(pid, signal),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGTERM');
      const code = (await exited) ?? -1;
      refuseStrangers();
      return code;
    },
    async kill9() {
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGKILL');
      await exited;
      refuseStrangers();
    },
    exited,
  };
}

async function waitForExit(child: ChildProcess): Promise<number | null> {
  await once(child, 'close');
  return child.exitCode;
}

/** What of a log line is not as published, or null. */
function strangenessOf(line: LogLine): string | null {
  const field = Object.keys(line).find((name) => !PUBLISHED.has(name));
  if (field !== undefined) return `the field ${field}`;
  const event = line['event'];
  return typeof event === 'string' && EVENT_NAME.test(event) ? null : 'no event';
}

function parseLine(text: string): LogLine | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

async function runCli(
  args: readonly string[],
  configFile: string,
  input: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, LEADPUSH_CONFIG: configFile },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.end(input);
  const code = await waitForExit(child);
  return { code: code ?? -1, stdout, stderr };
}

/** Fails with a sentence when a program that a test needs is not installed. */
export function needProgram(file: string, debianPackage: string): string {
  if (!existsSync(file)) throw new Error(`${file} is missing: install Debian's package ${debianPackage}`);
  return file;
}

/** Waits until `done` holds, looking every 20 ms; the last resort where nothing can be waited for. */
export async function until(done: () => boolean | Promise<boolean>, what: string, timeoutMs = 20_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
