/**
 * One SMTP connection below its commands: greeting, replies, limits in time and number, and the way out.
 *
 * It takes the socket's life and STARTTLS from smtp-server and replaces the rest: smtp-server waits 100 ms before each
 * greeting, has idle timeouts only, and prefixes replies with enhanced codes of its own. No command handler of smtp-server is
 * reachable: `run` gets every command line.
 *
 * A line of a client is never logged, for it may hold a password. Replies of one turn of the event loop leave in one write,
 * so that pipelined commands are answered in one packet. Underscored names are smtp-server's: see smtp-parser.ts.
 */
import type { Socket } from 'node:net';
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection';
import type { ListenerTls } from '../config/types.ts';
import { bugText } from '../core/bug-text.ts';
import type { Clock } from '../core/time.ts';
import type { Log } from '../telemetry/log.ts';
import type { BriefLog } from './smtp-brief-log.ts';
import type { ConnectionLimits, Slot } from './smtp-limits.ts';
import { SmtpParser } from './smtp-parser.ts';
import type { SmtpPolicy } from './smtp-policy.ts';
import type { SmtpSettings } from './smtp-settings.ts';
import { createWatchdog, SESSION_TIMES, type Watchdog } from './smtp-watchdog.ts';

/** Why a client was refused at the door, sent away, or told that its mail is not taken: the label of a metric. */
export const SMTP_REFUSED_REASONS = [
  'too-many',
  'too-many-from-address',
  'early-talker',
  'http',
  'tls-on-plain-port',
  'tls-handshake',
  'line-too-long',
  'too-many-errors',
  'too-many-idle-commands',
  'too-many-logins',
  'credential-withdrawn',
  'timeout',
  'bad-line-ends',
  'too-big',
  'too-many-recipients',
  'not-logged-in',
] as const;
export type SmtpRefusedReason = (typeof SMTP_REFUSED_REASONS)[number];

export interface SmtpMetrics {
  /** A connection was admitted; `listener` is `host:port`. */
  connection(listener: string, tls: ListenerTls): void;
  /** It is closed. */
  disconnection(listener: string): void;
  authFailure(reason: 'denied' | 'slow-down'): void;
  refused(reason: SmtpRefusedReason): void;
}

/** What the connections of one listener share. */
export interface SessionContext {
  /** `host:port`. */
  readonly name: string;
  readonly tls: ListenerTls;
  readonly settings: () => SmtpSettings;
  readonly policy: SmtpPolicy;
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly brief: BriefLog;
  readonly metrics: SmtpMetrics;
  readonly draining: () => boolean;
}

/** A connection as the door let it in. */
export interface Admission {
  /** In the spelling of `normalizeAddress`. */
  readonly address: string;
  readonly slot: Slot;
}

/** 512 of RFC 5321 (section 4.5.3.1.4), with room for SMTPUTF8 and DSN parameters; the line end counts. */
export const MAX_LINE_BYTES = 2048;
/** RFC 4954, section 4; the line end counts. */
export const MAX_AUTH_LINE_BYTES = 12_288;
/** Commands refused as malformed, unknown or out of order since the last accepted message. */
export const MAX_FAULTS = 20;
/** Commands that lead nowhere (NOOP, RSET, EHLO, VRFY ...) since the last accepted message. */
export const MAX_IDLE_COMMANDS = 100;

const LINE_END_BYTES = 2;
const MAX_REPLY_CHARACTERS = 480;
const TIMEOUT = '4.4.2 Timeout, closing connection';
const ENHANCED_IN_FRONT = /^[245]\.\d{1,3}\.\d{1,3} /;
const NOT_PRINTABLE = /[^\x20-\x7e]/g;

type Server = ConstructorParameters<typeof SMTPConnection>[0];

export abstract class SmtpWire extends SMTPConnection {
  protected readonly context: SessionContext;
  /** The client's, in the spelling of `normalizeAddress`. */
  protected readonly address: string;
  protected readonly slot: Slot;
  protected readonly watchdog: Watchdog;
  #outgoing = '';
  /** The raw socket, or the TLS socket on top of it, also while its handshake runs. */
  #top: Socket;
  #sessionEndMs = 0;
  #faults = 0;
  #idleCommands = 0;

  constructor(
    server: Server,
    socket: Socket,
    options: SMTPConnectionOptions,
    context: SessionContext,
    admission: Admission,
  ) {
    super(server, socket, options);
    this.context = context;
    this.address = admission.address;
    this.slot = admission.slot;
    this.watchdog = createWatchdog(context.clock, () => this.#overdue());
    this.#top = socket;
    this.progress();
  }

  /** Runs one command line; `done` lets the next one come. */
  protected abstract run(line: Buffer, done: () => void): void;
  /** Whether the client has no command to send just now: content is arriving, or an AUTH exchange goes on. */
  protected abstract timedElsewhere(): boolean;
  /** The watchdog fired outside a command: true when the client keeps up well enough to go on. */
  protected abstract keepsUp(): boolean;
  /** A message is arriving, or was received and is not answered yet. */
  protected abstract holdsMessage(): boolean;
  /** The connection is gone. */
  protected abstract forget(): void;
  protected abstract username(): string | null;

  // ------------------------------------------------------------ life

  /** Greets after one turn of the event loop: what the client sent without waiting for the greeting is read by then. */
  override init(): void {
    this._setListeners(() => {
      setImmediate(() => setImmediate(() => this.#greet()));
    });
  }

  #greet(): void {
    if (this._closing || this._closed || !(this._parser instanceof SmtpParser)) return;
    if (this._socket.readableLength > 0 || this._parser.unfinished > 0) {
      this.#spokeEarly();
      return;
    }
    this._ready = true;
    this.send(220, `${this.context.settings().hostname} ESMTP`, false);
    this.awaitCommand();
  }

  #spokeEarly(): void {
    this.dismiss('early-talker', `4.7.0 ${this.context.settings().hostname} You talk too soon`);
  }

  /** Takes no new message and says so; a message that is arriving or being committed is answered first. */
  drain(): void {
    if (this._upgrading) this.#top.destroy();
    else if (!this.holdsMessage() && !this._closed) this.sayShutdown();
  }

  /** Cuts the connection off. */
  destroy(): void {
    if (!this._closing && !this._closed) this.sayShutdown();
    this.#top.destroy();
  }

  protected sayShutdown(): void {
    this.send(421, `4.3.2 ${this.context.settings().hostname} Service shutting down`);
  }

  override close(): void {
    this.flush();
    this.watchdog.stop();
    super.close();
  }

  override _onClose(): void {
    this.watchdog.stop();
    this.slot.leave();
    this.forget();
    super._onClose();
    this.emit('gone');
  }

  override _createParser(): SmtpParser {
    return new SmtpParser(MAX_AUTH_LINE_BYTES - LINE_END_BYTES, {
      command: (line, next) => this._onCommand(line, next),
      overlong: () => this.dismiss('line-too-long', '4.7.0 Command line too long'),
      tlsRecord: () => this.#sawTlsRecord(),
      end: () => this.close(),
    });
  }

  /** smtp-server's idle timeout gives way to the watchdog; the call still tells which socket is on top. */
  override _armTimeout(socket: Socket = this._socket): void {
    this.#top = socket;
    socket.once('end', () => {
      // Half-open is of use to a client that waits for an answer; here it only left.
      if (this._upgrading) socket.destroy();
    });
  }

  #sawTlsRecord(): void {
    this.logRefused(
      'tls-on-plain-port',
      'a client began with TLS; it must use STARTTLS, or a listener with tls: implicit',
    );
    this.close();
  }

  // --------------------------------------------------------- replies

  /**
   * Answers `code` and `data`. A text that starts with an enhanced code keeps it, `context` false asks for none, any
   * other text gets smtp-server's code for it. 421 closes.
   */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const lines = Array.isArray(data) ? data : [data ?? ''];
    let text = '';
    lines.forEach((line, i) => {
      const clean = line.slice(0, MAX_REPLY_CHARACTERS).replace(NOT_PRINTABLE, '?');
      const bare = context === false || ENHANCED_IN_FRONT.test(clean);
      const enhanced = bare ? '' : this._getEnhancedStatusCode(code, context);
      text += `${code}${i < lines.length - 1 ? '-' : ' '}${enhanced === '' ? '' : `${enhanced} `}${clean}\r\n`;
    });
    // A reply during the handshake would be plain text in the middle of TLS.
    if (!this._upgrading && this._socket.writable) {
      if (this.#outgoing === '') queueMicrotask(() => this.flush());
      this.#outgoing += text;
    }
    if (code === 421) this.close();
  }

  protected flush(): void {
    if (this.#outgoing !== '' && this._socket.writable) this._socket.write(this.#outgoing, 'latin1');
    this.#outgoing = '';
  }

  /** Refuses a command that no well-meaning client sends; too many of them end the session. */
  protected fault(code: number, text: string): void {
    this.send(code, text);
    this.#faults++;
    if (this.#faults >= MAX_FAULTS) this.dismiss('too-many-errors', '4.7.0 Too many errors');
  }

  /** Answers a command that is allowed and leads nowhere; too many of them end the session. */
  protected idle(code: number, text: string | string[], context?: false): void {
    this.send(code, text, context);
    this.#idleCommands++;
    if (this.#idleCommands >= MAX_IDLE_COMMANDS) {
      this.dismiss('too-many-idle-commands', '4.7.0 Too many commands without a message');
    }
  }

  /** Sends the client away with 421 `text`, and logs `reason`. */
  protected dismiss(reason: SmtpRefusedReason, text: string): void {
    if (this._closing || this._closed) return;
    this.logRefused(reason, 'an SMTP client was sent away');
    this.send(421, text);
  }

  protected logRefused(reason: SmtpRefusedReason, text: string): void {
    const { brief, metrics, name } = this.context;
    metrics.refused(reason);
    brief.warn(
      { event: 'smtp.refused', listener: name, client: this.address, credential: this.username(), reason },
      text,
    );
  }

  // ------------------------------------------------------------ time

  /** A message was accepted: the counts begin anew. */
  protected progress(): void {
    this.#faults = 0;
    this.#idleCommands = 0;
    this.#sessionEndMs = this.context.clock.monotonicMs() + SESSION_TIMES.sessionMs;
  }

  protected awaitCommand(): void {
    const leftMs = this.#sessionEndMs - this.context.clock.monotonicMs();
    this.watchdog.start(Math.min(SESSION_TIMES.commandMs, leftMs));
  }

  #overdue(): void {
    if (this._upgrading) {
      this.logRefused('tls-handshake', 'a TLS handshake took too long');
      this.#top.destroy();
      return;
    }
    // An application that keeps a connection for later and does not use it is no news.
    if (!this.timedElsewhere()) {
      this.context.metrics.refused('timeout');
      this.send(421, TIMEOUT);
    } else if (!this.keepsUp()) this.dismiss('timeout', TIMEOUT);
  }

  // -------------------------------------------------------- commands

  override _onCommand(line: Buffer, callback?: () => void): void {
    const next = callback ?? ((): void => {});
    // What came in plain text behind STARTTLS, or at all behind QUIT, is dropped without an answer.
    if (this._upgrading || this._closing || this._closed) {
      next();
      return;
    }
    if (!this._ready) {
      this.#spokeEarly();
      next();
      return;
    }
    this.watchdog.pause();
    const done = (): void => {
      if (!this.timedElsewhere() && !this._upgrading) this.awaitCommand();
      this._whenWritable(next);
    };
    try {
      this.run(line, done);
    } catch (error) {
      this.fail(error);
      done();
    }
  }

  /** A bug, or an environment fault that nobody turned into a refusal: the client may try again. */
  protected fail(error: unknown, code: number = 451, text: string = '4.3.0 Internal error, try again later'): void {
    const { log, name } = this.context;
    log.error(
      { event: 'smtp.failed', listener: name, client: this.address, error: bugText(error) },
      'an SMTP command failed',
    );
    this.send(code, text);
  }
}
