/**
 * What a running relay cannot change: what was bound, opened or handed over at the start. A reload (SIGHUP) is all or
 * nothing, so a config with such a change is refused as a whole until the relay is started anew.
 */
import type { Config, ListenerConfig, TokenConfig } from './types.ts';

/** The changes from `running` to `next` that need a restart, one text each: `data: /a -> /b needs a restart`. */
export function compareForReload(running: Config, next: Config): readonly string[] {
  const changes: string[] = [];
  const compare = (path: string, before: string, after: string): void => {
    if (before !== after) changes.push(`${path}: ${before} -> ${after} needs a restart`);
  };
  compare('hostname', running.hostname, next.hostname);
  compare('data', running.dataDir, next.dataDir);
  // The keys themselves are never shown.
  if (running.contentKeys.join(' ') !== next.contentKeys.join(' ')) {
    changes.push('content_key: another key needs a restart');
  }
  compare('retention.content', contentText(running), contentText(next));
  compare('smtp.listeners', listenersText(running.smtp.listeners), listenersText(next.smtp.listeners));
  compare('bounces.listeners', listenersText(running.bounces.listeners), listenersText(next.bounces.listeners));
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

function listenersText(listeners: readonly ListenerConfig[]): string {
  return listeners.map(({ host, port, tls }) => `${host}:${port} (${tls})`).join(', ') || 'none';
}

/** Lengths of time may change at any time; whether there is one at all may not. */
function contentText(config: Config): string {
  return config.retention.contentMs === 0 ? 'until-settled' : 'a duration';
}

function tokensKey(tokens: readonly TokenConfig[]): string {
  return JSON.stringify(
    tokens.map(({ name, sha256, scopes, credential }) => [name, sha256, [...scopes].sort(), credential]),
  );
}
