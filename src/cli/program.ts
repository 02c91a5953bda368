/**
 * The command line: its name, its global options, one file per command, and the end of each run.
 *
 *   0  done        1  a finding or a failure        2  wrong use
 *
 * The process itself (arguments, signals, its end) is `main.ts`'s.
 */
import { MessageChannel } from 'node:worker_threads';
import { Command, CommanderError } from 'commander';
import { bugText } from '../core/bug-text.ts';
import { RelayError } from '../core/errors.ts';
import { VERSION } from '../version.ts';
import { auditCommand } from './audit.ts';
import { checkCommand } from './check.ts';
import { credentialCommand } from './credential.ts';
import { dkimCommand } from './dkim.ts';
import { explainCommand } from './explain.ts';
import type { CliIo, ExitCode, GlobalOptions } from './io.ts';
import { keysCommand } from './keys.ts';
import { createPaint } from './paint.ts';
import { queueCommand } from './queue.ts';
import { sendCommand } from './send.ts';
import { serveCommand } from './serve.ts';
import { showCommand } from './show.ts';
import { statsCommand } from './stats.ts';
import { suppressionsCommand } from './suppressions.ts';
import { tailCommand } from './tail.ts';
import { traceCommand } from './trace.ts';
import { webhooksCommand } from './webhooks.ts';

/** The commands that can ask a relay elsewhere. */
const REMOTE: ReadonlySet<string> = new Set([
  'check',
  'send',
  'tail',
  'trace',
  'show',
  'queue list',
  'queue retry',
  'queue cancel',
  'suppressions list',
  'suppressions add',
  'suppressions remove',
  'webhooks list',
  'webhooks deliveries',
  'webhooks replay',
  'webhooks enable',
  'stats',
  'explain',
]);

/** The way each command adds itself. */
type RegisterCommand = (program: Command, io: CliIo) => void;

const COMMANDS: readonly RegisterCommand[] = [
  serveCommand,
  checkCommand,
  sendCommand,
  tailCommand,
  traceCommand,
  showCommand,
  queueCommand,
  suppressionsCommand,
  webhooksCommand,
  statsCommand,
  explainCommand,
  auditCommand,
  dkimCommand,
  keysCommand,
  credentialCommand,
];

/** Runs `argv` (without the program's own name) and returns the exit code; what went wrong is told on standard error. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<ExitCode> {
  const release = keepAlive();
  const helpTexts: Promise<void>[] = [];
  try {
    const program = buildProgram(io, helpTexts);
    await program.parseAsync([...argv], { from: 'user' });
    return io.exit.code;
  } catch (error) {
    return await tellWhatWentWrong(io, error);
  } finally {
    await Promise.all(helpTexts);
    release();
  }
}

/** The whole program. Texts that Commander prints itself (help, wrong use) are added to `written` as they are taken. */
export function buildProgram(io: CliIo, written: Promise<void>[] = []): Command {
  const program = new Command('leadpush-relay');
  program
    .description('Self-hosted SMTP relay for account-recovery mail')
    .version(VERSION, '-V, --version', 'print the version')
    .option('-c, --config <file>', "config file (default: LEADPUSH_CONFIG, else the package's config/relay.yaml)")
    .option('--url <url>', 'a relay elsewhere, over HTTP, instead of the files of this machine (LEADPUSH_URL)')
    .option('--token-file <file>', 'file with a token of that relay (or LEADPUSH_TOKEN)')
    .option('--token <token>', 'the token itself; other users of this machine can see it with ps')
    .option('--json', 'JSON lines, as everywhere but on a terminal')
    .helpOption('-h, --help', 'print this help')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help shows how)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void written.push(io.stdout.write(text)),
      writeErr: (text) => void written.push(io.stderr.write(text)),
      getOutHelpWidth: () => io.stdout.columns,
      getErrHelpWidth: () => io.stderr.columns,
      getOutHasColors: () => io.stdout.hasColor,
      getErrHasColors: () => io.stderr.hasColor,
    });
  for (const register of COMMANDS) register(program, io);
  program.hook('preAction', (_program, command) => refuseRemote(command));
  return program;
}

/** Throws a `RelayError` (`usage`) when a command that is for this machine alone was given another relay. */
function refuseRemote(command: Command): void {
  const { url } = command.optsWithGlobals<GlobalOptions>();
  const group = command.parent?.parent == null ? '' : `${command.parent.name()} `;
  const name = `${group}${command.name()}`;
  if (url === undefined || REMOTE.has(name)) return;
  throw new RelayError(`${name} works with the files of this machine, and cannot with --url`, {
    code: 'usage',
    op: 'cli.remote',
    hint: `Run it on the machine of that relay. These ask a relay elsewhere: ${[...REMOTE].join(', ')}.`,
  });
}

async function tellWhatWentWrong(io: CliIo, error: unknown): Promise<ExitCode> {
  // Commander has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const paint = createPaint(io.stderr.hasColor);
  if (error instanceof RelayError) {
    const hint = error.hint === '' ? '' : `${error.hint}\n`;
    await io.stderr.write(`${paint.red(`leadpush-relay: ${printable(error.message)}`)}\n${printable(hint)}`);
    return error.code === 'usage' ? 2 : 1;
  }
  await io.stderr.write(`${paint.red('leadpush-relay: this is a bug in the relay:')}\n${printable(bugText(error))}\n`);
  return 1;
}

/** Findings have several lines; every other control character goes. */
function printable(text: string): string {
  return text.replace(/(?!\n)\p{Cc}/gu, '');
}

/** The clock's timers do not keep the process alive; a command that waits does. */
function keepAlive(): () => void {
  const { port1 } = new MessageChannel();
  port1.on('message', () => {});
  return () => port1.close();
}
