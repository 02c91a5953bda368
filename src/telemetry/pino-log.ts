/**
 * The log of a running relay: lines on standard output and in `log.file`.
 *
 * `time` is RFC 3339 in UTC, `level` a word, `msg` the text; the other fields are those of `fields.ts`. `format`
 * is that of standard output: `json`, `logfmt`, or `pretty` for eyes; the file is always JSON, so scripts never depend on it.
 * No line can hold a control character: see `json-line.ts`; pretty lines are made from cleaned values.
 */
import { pino } from 'pino';
import { isColorSupported, prettyFactory } from 'pino-pretty';
import { errorText } from '../core/errors.ts';
import { type Clock, isoTime, systemClock } from '../core/time.ts';
import { createDestination, type Destination, openLogFile } from './destination.ts';
import { escapeJsonControls } from './json-line.ts';
import { logfmtOf } from './logfmt.ts';
import type { Log } from './log.ts';

/** The `log` section of the config. */
export interface LogSettings {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly format: 'json' | 'logfmt' | 'pretty';
  /** Absolute path, or null for standard output alone. */
  readonly file: string | null;
}

export interface PinoLog {
  readonly log: Log;
  /** Writes out what waits and closes the file. Lines logged afterwards go nowhere. */
  stop(): Promise<void>;
  /** Opens `log.file` anew, for log rotation. When that fails the old file stays in use and an error is logged. */
  reopen(): void;
}

export interface PinoLogDeps {
  readonly clock: Clock;
  /** Descriptor that takes the place of standard output. */
  readonly stdout: number;
}

/** Opens the log; throws a `RelayError` (`config`) when the file cannot be opened. */
export function createPinoLog(config: LogSettings, deps: PinoLogDeps = { clock: systemClock, stdout: 1 }): PinoLog {
  const { clock } = deps;
  const openFile = (path: string): Destination =>
    createDestination(openLogFile(path), clock, {
      onTrouble: (error) =>
        log.error({ event: 'log.trouble', file: path, error }, 'the log file cannot be written; lines wait in memory'),
      onDropped: (dropped) =>
        log.warn({ event: 'log.dropped', file: path, dropped }, 'log lines were dropped: the log file was too slow'),
    });
  let file: Destination | null = config.file === null ? null : openFile(config.file);
  const stdout = createDestination(deps.stdout, clock, {
    onTrouble: (error) => log.error({ event: 'log.trouble', error }, 'standard output cannot be written'),
    onDropped: (dropped) =>
      log.warn({ event: 'log.dropped', dropped }, 'log lines were dropped: standard output is not read fast enough'),
  });
  /** Files that were moved away and still take what waits for them. */
  const closing = new Set<Promise<void>>();
  const letGo = (old: Destination): void => {
    const closed = old.close().finally(() => closing.delete(closed));
    closing.add(closed);
  };
  const render = rendererOf(config.format);

  const logger = pino(
    {
      level: config.level,
      base: null,
      timestamp: () => `,"time":"${isoTime(clock.now())}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(raw: string) {
        const line = escapeJsonControls(raw);
        stdout.write(render(line));
        file?.write(line);
      },
    },
  );

  const log: Log = {
    debug: (fields, text) => logger.debug(fields, text),
    info: (fields, text) => logger.info(fields, text),
    warn: (fields, text) => logger.warn(fields, text),
    error: (fields, text) => logger.error(fields, text),
  };

  return {
    log,
    async stop() {
      await Promise.all([stdout.close(), file?.close(), ...closing]);
    },
    reopen() {
      if (config.file === null) return;
      const old = file;
      try {
        file = openFile(config.file);
      } catch (error) {
        log.error(
          { event: 'log.trouble', file: config.file, error: errorText(error) },
          'the log file cannot be opened anew',
        );
        return;
      }
      log.info({ event: 'log.reopened', file: config.file }, 'the log file was opened anew');
      if (old !== null) letGo(old);
    },
  };
}

function rendererOf(format: LogSettings['format']): (line: string) => string {
  switch (format) {
    case 'json':
      return (line) => line;
    case 'logfmt':
      return (line) => `${logfmtOf(JSON.parse(line))}\n`;
    case 'pretty':
      return prettyRenderer();
  }
}

/** Turns a JSON line into one for a terminal. pino-pretty prints the text as it is, so values are cleaned before. */
function prettyRenderer(): (line: string) => string {
  const pretty = prettyFactory({
    colorize: isColorSupported,
    translateTime: false,
    singleLine: true,
  });
  return (line) =>
    pretty(JSON.parse(line, (_key, value: unknown) => (typeof value === 'string' ? clean(value) : value)));
}

function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
