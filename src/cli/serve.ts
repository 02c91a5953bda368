/**
 * `serve`: runs the relay until it is told to end. SIGTERM and SIGINT drain it, SIGHUP reloads the config.
 *
 * Standard output is the relay's log, one JSON line per fact. On a terminal a short text on standard error says where to
 * point an app and how to send a first mail.
 */
import type { Command } from 'commander';
import type { Relay } from '../app.ts';
import type { CliIo, GlobalOptions } from './io.ts';
import { configFile } from './settings.ts';

/** Adds `serve` to `program`. */
export function serveCommand(program: Command, io: CliIo): void {
  program
    .command('serve')
    .description('run the relay; SIGHUP reloads the config, SIGTERM ends it without losing mail')
    .action(async (_options: unknown, command: Command) => {
      // Loaded here, so that the other commands need not wait for the server's libraries.
      const { startRelay } = await import('../app.ts');
      const file = configFile(io, command.optsWithGlobals<GlobalOptions>());
      const relay = await startRelay({ configFile: file, env: io.env, clock: io.clock });
      const stopListening = io.onHangup?.(() => void relay.reload());
      await io.stderr.write(banner(relay));
      await untilAborted(io.signal);
      stopListening?.();
      await relay.stop();
    });
}

/** What a person who just started the relay needs to know. */
export function banner(relay: Pick<Relay, 'config' | 'smtp' | 'http'>): string {
  const { config, smtp, http } = relay;
  const sandboxOnly = [...config.routes.values()].every((route) => route.type === 'sandbox');
  const first = smtp[0];
  return [
    '',
    `  Leadpush Relay is ready${sandboxOnly ? ': a sandbox, nothing leaves this machine' : ''}`,
    '',
    ...smtp.map((open) => `  SMTP       ${open.host}:${open.port} (${TLS_WORDS[open.tls] ?? open.tls})`),
    `  HTTP       http://${http.host.includes(':') ? `[${http.host}]` : http.host}:${http.port} (/healthz, /readyz, /metrics)`,
    `  Database   ${config.dataDir}/relay.db`,
    '',
    `  Point your app's SMTP settings at ${first?.host ?? '127.0.0.1'}, port ${first?.port ?? 2525}, then:`,
    '',
    '    npx leadpush-relay send                      a first password-reset mail',
    '    npx leadpush-relay tail -f                   watch mail as it happens',
    '    npx leadpush-relay trace ann@example.net     what became of her mail, and why',
    '',
    '',
  ].join('\n');
}

const TLS_WORDS: Readonly<Record<string, string>> = {
  none: 'plain',
  starttls: 'STARTTLS offered',
  'starttls-required': 'STARTTLS required',
  implicit: 'TLS from the first byte',
};

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
