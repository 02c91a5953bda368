/**
 * Reading the config anew while the relay runs (SIGHUP): all of it, or when it is broken none of it.
 *
 * What was bound, opened or handed over at the start cannot change: listeners, HTTP, data folder, log, and whether content
 * goes with the last final state. Such changes are told and the running values stay in force until a restart.
 */
import type { Finding } from './finding.ts';
import { loadConfig } from './load.ts';
import type { Config, TokenConfig } from './types.ts';

export type ReloadResult =
  | {
      readonly kind: 'reloaded';
      /** What applies from now on: the file's values, and the running ones where a restart is needed. */
      readonly config: Config;
      readonly warnings: readonly Finding[];
      /** One text for each change that needs a restart. */
      readonly needsRestart: readonly string[];
    }
  /** The running config stays as it is. */
  | { readonly kind: 'refused'; readonly findings: readonly Finding[] };

/** Reads the file that `running` came from again. */
export function reloadConfig(running: Config, env: NodeJS.ProcessEnv): ReloadResult {
  const result = loadConfig(running.file, env);
  if (result.kind === 'invalid') return { kind: 'refused', findings: result.findings };
  const next = result.config;
  const sameListeners = listenersText(running) === listenersText(next);
  const config: Config = {
    ...next,
    dataDir: running.dataDir,
    retention: {
      ...next.retention,
      contentMs: contentText(running) === contentText(next) ? next.retention.contentMs : running.retention.contentMs,
    },
    smtp: {
      ...next.smtp,
      listeners: running.smtp.listeners,
      // A file with loopback listeners alone may go without a certificate; the listeners that run on cannot.
      tls: sameListeners ? next.smtp.tls : (next.smtp.tls ?? running.smtp.tls),
    },
    http: running.http,
    log: running.log,
  };
  return { kind: 'reloaded', config, warnings: result.warnings, needsRestart: compareForReload(running, next) };
}

/** The changes from `running` to `next` that need a restart, one text each: `data: /a -> /b needs a restart`. */
export function compareForReload(running: Config, next: Config): readonly string[] {
  const changes: string[] = [];
  const compare = (path: string, before: string, after: string): void => {
    if (before !== after) changes.push(`${path}: ${before} -> ${after} needs a restart`);
  };
  compare('data', running.dataDir, next.dataDir);
  compare('retention.content', contentText(running), contentText(next));
  compare('smtp.listeners', listenersText(running), listenersText(next));
  compare('http.host', running.http.host, next.http.host);
  compare('http.port', String(running.http.port), String(next.http.port));
  if (tokensKey(running.http.tokens) !== tokensKey(next.http.tokens)) {
    changes.push('http.tokens: other tokens need a restart');
  }
  compare('log.level', running.log.level, next.log.level);
  compare('log.format', running.log.format, next.log.format);
  compare('log.file', running.log.file ?? 'none', next.log.file ?? 'none');
  return changes;
}

function listenersText(config: Config): string {
  return config.smtp.listeners.map(({ host, port, tls }) => `${host}:${port} (${tls})`).join(', ');
}

/** Lengths of time may change at any time; whether there is one at all may not. */
function contentText(config: Config): string {
  return config.retention.contentMs === 0 ? 'until-settled' : 'a duration';
}

function tokensKey(tokens: readonly TokenConfig[]): string {
  return JSON.stringify(tokens.map(({ name, sha256, scopes }) => [name, sha256, [...scopes].sort()]));
}
