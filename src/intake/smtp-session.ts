/**
 * One SMTP conversation (RFC 5321): which command may come when, and what each is answered.
 *
 * It decides nothing about mail: the listener's `SmtpPolicy` does, and the 250 to the final dot only follows its `taken`. It
 * never takes mail from a client that neither logged in nor is admitted by that policy without.
 *
 * After a crash nothing of a session is left; a client that saw no 250 sends again.
 *
 * Longer than most files: it is one state machine, and which command may follow which is checked best side by side.
 *
 * RFC 3207 (STARTTLS), 4954 (AUTH), 1870 (SIZE), 2920 (PIPELINING), 2034 (enhanced codes), 3848 and 6531 (protocol names).
 */
import { TLSSocket } from 'node:tls';
import { isLoopback } from '../config/network.ts';
import type { CredentialConfig } from '../config/types.ts';
import type { ReversePath } from '../core/address.ts';
import { unreachable } from '../core/errors.ts';
import type { Envelope, EnvelopeRecipient } from '../core/message.ts';
import { type Refusal, refuse } from '../core/refusal.ts';
import { type AuthStep, startAuth } from './smtp-auth.ts';
import { parseMailCommand, parseRcptCommand } from './smtp-command.ts';
import { ContentCollector, hasBadLineEnds } from './smtp-content.ts';
import type { ContentMemory } from './smtp-limits.ts';
import { SmtpParser } from './smtp-parser.ts';
import type { Receipt } from './smtp-policy.ts';
import { SESSION_TIMES } from './smtp-watchdog.ts';
import { MAX_LINE_BYTES, SmtpWire } from './smtp-wire.ts';
import type { Submitter } from './submission.ts';

interface Transaction {
  readonly mailFrom: ReversePath;
  readonly dsn: Envelope['dsn'];
  readonly smtpUtf8: boolean;
  readonly deliverBySeconds: number | null;
  readonly recipients: EnvelopeRecipient[];
  /** The recipients' addresses, to find one that is given twice. */
  readonly addresses: Set<string>;
}

/** From the reply to DATA to the reply to the final dot. */
interface Receiving {
  readonly transaction: Transaction;
  readonly collector: ContentCollector;
  readonly memory: ContentMemory;
  readonly endMs: number;
  windowStartBytes: number;
  /** The final dot is in; the intake has the message. */
  complete: boolean;
}

const MAX_LOGINS = 3;
const MAX_HELO_CHARACTERS = 255;
const MAX_VERB_CHARACTERS = 16;
const LINE_END_BYTES = 2;

const HTTP_REQUEST = /^[A-Z]{3,16} \S+ HTTP\/\d/i;
const CONTROL = /[\x00-\x1f\x7f]/;
/** A HELO name is shown in the Received header: what is in no host name or literal becomes a question mark. */
const NOT_IN_A_NAME = /[^A-Za-z0-9.:_[\]-]/g;
const BEFORE_TLS: ReadonlySet<string> = new Set(['EHLO', 'NOOP', 'QUIT', 'STARTTLS', 'RSET']);
const AFTER_HELO: ReadonlySet<string> = new Set(['AUTH', 'MAIL', 'RCPT', 'DATA']);
const HELP = 'EHLO STARTTLS MAIL RCPT DATA RSET NOOP QUIT';

export class SmtpSession extends SmtpWire {
  #helo: { readonly name: string; readonly extended: boolean } | null = null;
  #credential: CredentialConfig | null = null;
  #transaction: Transaction | null = null;
  #receiving: Receiving | null = null;
  #authNext: ((line: string) => AuthStep) | null = null;
  #authEndMs = 0;
  #logins = 0;

  protected override run(line: Buffer, done: () => void): void {
    const authNext = this.#authNext;
    if (authNext !== null) {
      this.#authNext = null;
      this.#stepAuth(authNext(line.toString('latin1')), done);
      return;
    }
    const space = line.indexOf(0x20);
    const end = Math.min(space === -1 ? line.length : space, MAX_VERB_CHARACTERS);
    const verb = line.toString('latin1', 0, end).toUpperCase();
    if (verb === 'AUTH') this.#auth(line, done);
    else if (verb === 'STARTTLS') this.#startTls(line, done);
    else if (verb === 'RCPT') this.#rcpt(line, done);
    else {
      this.#dispatch(verb, line);
      done();
    }
  }

  #dispatch(verb: string, line: Buffer): void {
    if (this.#isOutOfPlace(verb, line)) return;
    switch (verb) {
      case 'EHLO':
      case 'HELO':
        this.#hello(verb, line);
        break;
      case 'MAIL':
        this.#mail(line);
        break;
      case 'DATA':
        this.#data(line);
        break;
      case 'RSET':
        this.#transaction = null;
        this.idle(250, '2.0.0 Ok');
        break;
      case 'NOOP':
        this.idle(250, '2.0.0 Ok');
        break;
      case 'QUIT':
        this.send(221, '2.0.0 Bye');
        this.close();
        break;
      case 'HELP':
        this.idle(214, `2.0.0 ${HELP}; ${this.context.policy.purpose}`);
        break;
      case 'VRFY':
        this.idle(252, '2.5.0 Addresses are not verified here; send the message');
        break;
      case 'BDAT':
      case 'ETRN':
      case 'EXPN':
      case 'SAML':
      case 'SEND':
      case 'SOML':
      case 'TURN':
      case 'XCLIENT':
      case 'XFORWARD':
        this.fault(502, '5.5.1 Command not implemented');
        break;
      default:
        this.fault(500, '5.5.2 Command not recognised');
    }
  }

  /** Refuses what no command may be at this moment, or at all; true when it did. */
  #isOutOfPlace(verb: string, line: Buffer): boolean {
    if (HTTP_REQUEST.test(line.toString('latin1', 0, MAX_LINE_BYTES))) {
      // A browser that was tricked into talking to this port carries commands in its request's body.
      this.dismiss('http', '4.7.0 This is an SMTP port, not HTTP');
    } else if (line.length > MAX_LINE_BYTES - LINE_END_BYTES && verb !== 'AUTH') {
      this.fault(500, '5.5.2 Command line too long');
    } else if (this.context.tls === 'starttls-required' && !this.secure && !BEFORE_TLS.has(verb)) {
      this.fault(530, '5.7.0 Must issue a STARTTLS command first');
    } else if (AFTER_HELO.has(verb) && this.#helo === null) {
      this.fault(503, '5.5.1 Send EHLO first');
    } else return false;
    return true;
  }

  #hello(verb: 'EHLO' | 'HELO', line: Buffer): void {
    const words = line.toString('latin1').trimEnd().split(/ +/);
    const name = words[1] ?? '';
    if (words.length !== 2 || name.length > MAX_HELO_CHARACTERS || CONTROL.test(name)) {
      this.fault(501, `5.5.4 Syntax: ${verb} hostname`);
      return;
    }
    const { hostname, maxMessageBytes } = this.context.settings();
    this.#helo = { name: name.replace(NOT_IN_A_NAME, '?'), extended: verb === 'EHLO' };
    this.#transaction = null;
    if (verb === 'HELO') {
      this.idle(250, hostname, false);
      return;
    }
    const offers = ['PIPELINING', `SIZE ${maxMessageBytes}`, '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES'];
    offers.push(...this.context.policy.offers);
    if (!this.secure && this.context.tls !== 'none') offers.push('STARTTLS');
    if (this.#credential === null && this.#mayAuth()) offers.push('AUTH PLAIN LOGIN');
    this.idle(250, [hostname, ...offers], false);
  }

  // --------------------------------------------------- STARTTLS, AUTH

  #startTls(line: Buffer, done: () => void): void {
    if (!isBare(line)) this.fault(501, '5.5.4 Syntax: STARTTLS');
    else if (this.secure) this.fault(503, '5.5.1 TLS is already active');
    else if (this.context.tls === 'none') this.fault(502, '5.5.1 STARTTLS is not available here');
    else {
      this.send(220, '2.0.0 Ready to start TLS');
      this.flush();
      // What was learned in plain text may have been put there by somebody else (RFC 3207, section 4.2).
      this.#helo = null;
      this.#credential = null;
      this.#transaction = null;
      this.watchdog.start(SESSION_TIMES.handshakeMs);
      this.upgrade(done, () => this.awaitCommand());
      return;
    }
    done();
  }

  #hasLogins(): boolean {
    return this.context.policy.credentials !== null && this.context.settings().hasCredentials;
  }

  #mayAuth(): boolean {
    return this.#hasLogins() && (this.secure || (isLoopback(this.address) && this.context.tls !== 'starttls-required'));
  }

  #auth(line: Buffer, done: () => void): void {
    if (this.#isOutOfPlace('AUTH', line)) done();
    else if (this.#credential !== null) this.#refuseAuth(503, '5.5.1 Already logged in', done);
    else if (this.#transaction !== null) this.#refuseAuth(503, '5.5.1 Not during a mail transaction', done);
    else if (!this.#hasLogins()) this.#refuseAuth(502, '5.5.1 AUTH is not available here', done);
    else if (!this.#mayAuth()) this.#refuseAuth(538, '5.7.11 Encryption is required to log in; use STARTTLS', done);
    else {
      this.#authEndMs = this.context.clock.monotonicMs() + SESSION_TIMES.authMs;
      this.#stepAuth(startAuth(line.toString('latin1')), done);
    }
  }

  #refuseAuth(code: number, text: string, done: () => void): void {
    this.fault(code, text);
    done();
  }

  #stepAuth(step: AuthStep, done: () => void): void {
    switch (step.kind) {
      case 'challenge':
        this.#authNext = step.next;
        this.send(334, step.text, false);
        this.watchdog.start(this.#authEndMs - this.context.clock.monotonicMs());
        done();
        break;
      case 'refused':
        this.#refuseAuth(step.code, `${step.enhanced} ${step.text}`, done);
        break;
      case 'login':
        void this.#logIn(step.username, step.password, done);
        break;
      default:
        unreachable(step);
    }
  }

  async #logIn(username: string, password: string, done: () => void): Promise<void> {
    try {
      const { credentials } = this.context.policy;
      this.#answerLogin((await credentials?.verify(username, password, this.address)) ?? 'denied');
    } catch (error) {
      this.fail(error, 454, '4.7.0 Temporary authentication failure');
    }
    done();
  }

  #answerLogin(result: CredentialConfig | 'denied' | 'slow-down'): void {
    if (this._closing || this._closed) return;
    if (result === 'slow-down') {
      this.context.metrics.authFailure(result);
      this.send(421, '4.7.0 Too many failed logins, try again later');
    } else if (result === 'denied') {
      this.context.metrics.authFailure(result);
      this.#logins++;
      this.send(535, '5.7.8 Authentication credentials invalid');
      if (this.#logins >= MAX_LOGINS) this.dismiss('too-many-logins', '4.7.0 Too many failed logins');
    } else {
      this.#credential = result;
      this.slot.known();
      this.send(235, '2.7.0 Authentication successful');
    }
  }

  // ------------------------------------------------- MAIL, RCPT, DATA

  #mail(line: Buffer): void {
    const { policy, settings } = this.context;
    if (this.#transaction !== null) {
      this.fault(503, '5.5.1 Sender already given; send RSET first');
      return;
    }
    if (this.#credential !== null) {
      this.#credential = policy.credentials?.refresh(this.#credential) ?? null;
      if (this.#credential === null) {
        this.dismiss('credential-withdrawn', '4.7.0 The credential was changed; log in again');
        return;
      }
    } else if (!policy.admits(this.address)) {
      this.context.metrics.refused('not-logged-in');
      const first = this.#mayAuth() || this.secure || this.context.tls === 'none' ? '' : '; use STARTTLS first';
      this.fault(530, `5.7.0 Authentication required${first}`);
      return;
    }
    const command = parseMailCommand(line);
    if (command.kind === 'refused') {
      this.#faultOf(command);
      return;
    }
    const { maxMessageBytes } = settings();
    const refusal =
      (command.size !== null && command.size > maxMessageBytes ? this.#tooBig(maxMessageBytes) : null) ??
      policy.checkMail(this.#submitter(command.smtpUtf8), command.mailFrom);
    if (refusal !== null) {
      this.#refuse(refusal);
      return;
    }
    this.#transaction = { ...command, recipients: [], addresses: new Set() };
    this.send(250, '2.1.0 Ok');
  }

  #rcpt(line: Buffer, done: () => void): void {
    if (this.#isOutOfPlace('RCPT', line)) return done();
    const transaction = this.#transaction;
    if (transaction === null) {
      this.fault(503, '5.5.1 Send MAIL first');
      return done();
    }
    const command = parseRcptCommand(line, transaction.smtpUtf8);
    if (command.kind === 'refused') {
      this.#faultOf(command);
      return done();
    }
    const { recipient } = command;
    const { maxRecipients } = this.context.settings();
    if (transaction.addresses.has(recipient.address)) {
      this.send(250, '2.1.5 Ok');
      return done();
    }
    if (transaction.recipients.length >= maxRecipients) {
      this.context.metrics.refused('too-many-recipients');
      this.send(452, `4.5.3 Too many recipients: at most ${maxRecipients} a message`);
      return done();
    }
    const check = this.context.policy.checkRcpt(recipient.address);
    if (check === null) {
      this.#addRecipient(transaction, recipient);
      done();
    } else void this.#addChecked(transaction, recipient, check, done);
  }

  #addRecipient(transaction: Transaction, recipient: EnvelopeRecipient): void {
    transaction.addresses.add(recipient.address);
    transaction.recipients.push(recipient);
    this.send(250, '2.1.5 Ok');
  }

  async #addChecked(
    transaction: Transaction,
    recipient: EnvelopeRecipient,
    check: Promise<Refusal | null>,
    done: () => void,
  ): Promise<void> {
    try {
      const refusal = await check;
      if (refusal === null) this.#addRecipient(transaction, recipient);
      // Whoever guesses addresses is sent away after some.
      else if (refusal.code >= 500) this.#faultOf(refusal);
      else this.#refuse(refusal);
    } catch (error) {
      this.fail(error);
    }
    done();
  }

  #data(line: Buffer): void {
    const { clock, limits, settings } = this.context;
    const transaction = this.#transaction;
    if (!isBare(line)) this.fault(501, '5.5.4 Syntax: DATA');
    else if (transaction === null) this.fault(503, '5.5.1 Send MAIL first');
    else if (transaction.recipients.length === 0) this.fault(503, '5.5.1 Send RCPT first');
    else if (this._parser instanceof SmtpParser) {
      const memory = limits.content(this.username(), this.address);
      const collector = new ContentCollector({ maxBytes: settings().maxMessageBytes, memory });
      const endMs = clock.monotonicMs() + SESSION_TIMES.dataMs;
      const receiving: Receiving = {
        transaction,
        collector,
        memory,
        endMs,
        windowStartBytes: 0,
        complete: false,
      };
      this.#receiving = receiving;
      this._parser.collect(collector, () => {
        this.watchdog.pause();
        receiving.complete = true;
        void this.#submit(receiving);
      });
      this.send(354, 'End data with <CR><LF>.<CR><LF>', false);
      this.#awaitContent(endMs);
    }
  }

  async #submit(receiving: Receiving): Promise<void> {
    const { context } = this;
    const content = receiving.collector.take();
    let answer: Receipt | Refusal | null = null;
    try {
      answer =
        this.#contentRefusal(receiving, context.settings().maxMessageBytes) ?? (await this.#accept(receiving, content));
    } catch (error) {
      this.fail(error);
    }
    receiving.memory.release();
    this.#receiving = null;
    this.#transaction = null;
    if (this._closing || this._closed) return;

    if (answer?.kind === 'refused') {
      this.#refuse(answer);
      if (answer.code >= 500 && hasBadLineEnds(content)) {
        // Whoever writes such line ends by mistake sends nothing behind them; what follows is an attempt at smuggling.
        this.logRefused('bad-line-ends', 'a message with bare CR, LF or NUL was refused and the connection closed');
        this.close();
        return;
      }
    } else if (answer !== null) {
      this.send(250, `2.0.0 ${answer.text}`);
      this.progress();
    }
    if (context.draining()) this.sayShutdown();
    else {
      this.awaitCommand();
      if (this._parser !== false) this._parser.continue();
    }
  }

  #accept(receiving: Receiving, content: Uint8Array): Promise<Receipt | Refusal> {
    const { mailFrom, recipients, dsn, smtpUtf8, deliverBySeconds } = receiving.transaction;
    const envelope: Envelope = { mailFrom, recipients, dsn, smtpUtf8, deliverBySeconds };
    const submitter = this.#submitter(smtpUtf8);
    return this.context.policy.accept({ submitter, envelope, content, paysReport: null });
  }

  #submitter(smtpUtf8: boolean): Submitter {
    const secured = this.secure ? 'S' : '';
    const authenticated = this.#credential === null ? '' : 'A';
    return {
      credential: this.#credential,
      address: this.address,
      helo: this.#helo?.name ?? '',
      tls: this._socket instanceof TLSSocket ? this._socket.getProtocol() : null,
      protocol: this.#helo?.extended === true ? `${smtpUtf8 ? 'UTF8SMTP' : 'ESMTP'}${secured}${authenticated}` : 'SMTP',
    };
  }

  #contentRefusal(receiving: Receiving, maxBytes: number): Refusal | null {
    switch (receiving.collector.fault) {
      case 'too-big':
        return this.#tooBig(maxBytes);
      case 'no-room':
        return refuse(452, '4.3.1', 'Too much mail is arriving at once, try again later');
      case null:
        return null;
    }
  }

  #tooBig(maxBytes: number): Refusal {
    this.context.metrics.refused('too-big');
    return refuse(552, '5.3.4', `Message too big: at most ${maxBytes} octets`);
  }

  #refuse(refusal: Refusal): void {
    this.send(refusal.code, `${refusal.enhanced} ${refusal.text}`);
  }

  #faultOf(refusal: Refusal): void {
    this.fault(refusal.code, `${refusal.enhanced} ${refusal.text}`);
  }

  // ---------------------------------------------- what the wire asks

  #awaitContent(endMs: number): void {
    const leftMs = endMs - this.context.clock.monotonicMs();
    this.watchdog.start(Math.min(SESSION_TIMES.dataWindowMs, leftMs));
  }

  protected override timedElsewhere(): boolean {
    return this.#receiving !== null || this.#authNext !== null;
  }

  protected override keepsUp(): boolean {
    const receiving = this.#receiving;
    if (receiving === null || this.context.clock.monotonicMs() >= receiving.endMs) return false;
    const { size } = receiving.collector;
    const enough = size - receiving.windowStartBytes >= SESSION_TIMES.dataWindowBytes;
    receiving.windowStartBytes = size;
    if (enough) this.#awaitContent(receiving.endMs);
    return enough;
  }

  protected override holdsMessage(): boolean {
    return this.#receiving !== null;
  }

  protected override forget(): void {
    const receiving = this.#receiving;
    // The memory of a message that the intake has is given back with its answer.
    if (receiving === null || receiving.complete) return;
    receiving.memory.release();
    this.#receiving = null;
  }

  protected override username(): string | null {
    return this.#credential?.username ?? null;
  }
}

/** Whether `line` is a verb alone. */
function isBare(line: Buffer): boolean {
  return !line.toString('latin1').trimEnd().includes(' ');
}
