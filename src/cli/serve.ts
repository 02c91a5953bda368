/**
 * `serve`: runs the relay until it is told to end. SIGTERM and SIGINT drain it, SIGHUP reloads the config,
 * SIGUSR2 opens the log file anew.
 *
 * Standard output is the relay's log, one JSON line per fact. On a terminal a short text on standard error says where to
 * point an app and how to send a first mail.
 */
import type { Command } from 'commander';
import type { Relay } from '../app.ts';
import type { Config } from '../config/types.ts';
import { createSteadyClock } from '../core/steady-clock.ts';
import { createNetworks } from '../intake/networks.ts';
import type { CliIo, GlobalOptions } from './io.ts';
import { shellWord } from '../core/shell-word.ts';
import { configFile, placeOptions } from './settings.ts';

/** Adds `serve` to `program`. */
export function serveCommand(program: Command, io: CliIo): void {
  program
    .command('serve')
    .description(
      'run the relay; SIGHUP reloads the config, SIGUSR2 opens log.file anew, SIGTERM ends it without losing mail',
    )
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const file = configFile(io, options);
      // Loaded here, so that the other commands need not wait for the server's libraries.
      const { startRelay } = await import('../app.ts');
      const relay = await startRelay({ configFile: file, env: io.env, clock: createSteadyClock(io.clock) });
      const stopListening = [
        io.onSignal('SIGHUP', () => void relay.reload()),
        io.onSignal('SIGUSR2', () => relay.reopenLog()),
      ];
      await io.stderr.write(banner(relay, options));
      await untilAborted(io.signal);
      for (const stop of stopListening) stop();
      await relay.stop();
    });
}

/** What a person who just started the relay needs to know. `options` are those that it was started with. */
export function banner(
  { config, smtp, http }: Pick<Relay, 'config' | 'smtp' | 'http'>,
  options: Pick<GlobalOptions, 'config'>,
): string {
  const sandboxOnly = [...config.routes.values()].every((route) => route.type === 'sandbox');
  const first = smtp[0];
  return [
    '',
    `  Leadpush Relay is ready${sandboxOnly ? ': a sandbox, nothing leaves this machine' : ''}`,
    '',
    ...smtp.map((open) => `  SMTP       ${open.host}:${open.port} (${TLS_WORDS[open.tls] ?? open.tls})`),
    `  Dashboard  http://${http.host.includes(':') ? `[${http.host}]` : http.host}:${http.port}/ (also /v1, /healthz, /readyz, /metrics)`,
    `  Database   ${config.dataDir}/relay.db`,
    '',
    `  Point your app's SMTP settings at ${first?.host ?? '127.0.0.1'}, port ${first?.port ?? 2525}, then:`,
    '',
    ...nextSteps(config, placeOptions(options)),
    '',
    '',
  ].join('\n');
}

/** Commands to go on with, each with what it does. */
function nextSteps(config: Config, place: string): readonly string[] {
  const steps = [
    [`send${loginOption(config)}${place}`, 'a first password-reset mail'],
    [`tail -f${place}`, 'watch mail as it happens'],
    [`trace ann@example.net${place}`, 'what became of her mail, and why'],
  ] as const;
  const width = Math.max(...steps.map(([command]) => command.length));
  return steps.map(([command, does]) => `    npx leadpush-relay ${command.padEnd(width)}     ${does}`);
}

/** What `send` needs to get in: nothing where programs on this machine are trusted. */
function loginOption({ smtp, credentials }: Config): string {
  const [first] = credentials;
  const trusted = createNetworks(smtp.trustedNetworks);
  if (first === undefined || trusted.contains('127.0.0.1') || trusted.contains('::1')) return '';
  return ` --username ${shellWord(first.username)}`;
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
