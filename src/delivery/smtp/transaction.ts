/**
 * One mail transaction: MAIL, RCPT, DATA, content, final dot, and the answer to it, for one message and one recipient
 * (RFC 5321, section 3.3; PIPELINING of RFC 2920 where it is offered).
 *
 * The library leads the dialogue up to 354. The content does not go through it: we write it to the socket ourselves, so
 * that the octets are the signed ones and the moment of the final dot is known exactly. An answer that comes before the dot
 * was written is never taken for the answer to it.
 *
 * 8-bit content goes to a server without 8BITMIME as it is: to re-encode it would break the signature, and the servers that
 * cannot take it are gone in practice.
 */
import { Transform } from 'node:stream';
import type { SMTPConnectionSendCallback as SendCallback } from 'nodemailer/lib/smtp-connection';
import { errorText } from '../../core/errors.ts';
import type { Stage } from '../../core/outcome.ts';
import type { Clock } from '../../core/time.ts';
import type { DeliveryRequest } from '../transport.ts';
import { writeContent } from './content.ts';
import { type Ending, type Failure, type FailureReason, failure, replyOf } from './ending.ts';
import { envelopeOf, mailParametersOf, unsendable, withMailParameters } from './envelope.ts';
import type { SmtpSession } from './session.ts';
import { runStep } from './step.ts';
import type { SmtpTimeouts } from './timeouts.ts';

/** What the first replies answer. As many must have come, and not an octet more, when the content begins. */
const ENVELOPE_STAGES: readonly Stage[] = ['mail', 'rcpt', 'data'];

/** Which command the library says that an error answers. */
const STAGE_OF_COMMAND: Readonly<Record<string, Stage>> = { 'MAIL FROM': 'mail', 'RCPT TO': 'rcpt', DATA: 'data' };

export interface TransactionDeps {
  readonly clock: Clock;
  readonly timeouts: SmtpTimeouts;
}

/** Sends `request`; after an abort before the final dot, or any failure, `session` is not usable any more. */
export function transact(
  session: SmtpSession,
  request: DeliveryRequest,
  deps: TransactionDeps,
  signal: AbortSignal,
): Promise<Ending> {
  const { connection, socket, tap, facts } = session;
  const { timeouts } = deps;
  const refusal = unsendable(request, facts.capabilities);
  if (refusal !== null) return Promise.resolve(refusal);

  const reused = session.transactions > 0;
  session.transactions++;
  session.inTransaction = true;
  let contentBegun = false;
  let dotWritten = false;
  let over = false;
  const stage = (): Stage => (dotWritten ? 'dot' : (ENVELOPE_STAGES[tap.replies()] ?? 'data'));
  const aborted = (): Failure => {
    over = true;
    return failure(stage(), 'aborted', 'the relay gave the attempt up before the final dot');
  };

  return runStep<Ending>(deps.clock, signal, aborted, (step) => {
    const end = (ending: Ending): void => {
      over = true;
      step.settle(ending);
    };
    const fail = (reason: FailureReason, text: string): void => end(failure(stage(), reason, text));
    const late = (): void => fail('timeout', lateText(stage(), contentBegun));

    const answer = (answeredStage: Stage, reply: string): void => {
      session.inTransaction = !endsInStep(answeredStage);
      end({ kind: 'answer', stage: answeredStage, reply });
    };
    /**
     * Whether both sides know that the transaction is over: every command had its reply, and nothing more was said. A
     * spare reply would be taken for the answer to the next command; a refusal in the middle of the content leaves the rest
     * of it to be read as commands.
     */
    const endsInStep = (answeredStage: Stage): boolean => {
      const asked = answeredStage === 'dot' ? ENVELOPE_STAGES.length + 1 : ENVELOPE_STAGES.indexOf(answeredStage) + 1;
      const expected = facts.capabilities.pipelining ? Math.max(asked, ENVELOPE_STAGES.length) : asked;
      return tap.replies() === expected && !tap.midReply();
    };
    const onDone: SendCallback = (error, info) => {
      if (over) return;
      if (error === null) {
        if (dotWritten) answer('dot', info?.response ?? '');
        else fail('protocol', 'the server accepted a message that it had not got');
        return;
      }
      const reply = replyOf(error);
      const answeredStage = dotWritten ? 'dot' : (STAGE_OF_COMMAND[error.command ?? ''] ?? lastAnswered());
      if (reply === null) fail('lost', errorText(error));
      else answer(answeredStage, reply);
    };
    const lastAnswered = (): Stage => ENVELOPE_STAGES[tap.replies() - 1] ?? 'data';

    const onData = (libraryStream: NodeJS.WritableStream): void => {
      // What the library would do with the content: it is not given any.
      if (libraryStream instanceof Transform) libraryStream.unpipe(socket);
      if (over) return;
      if (tap.lastCode() !== 354 || !inStep()) {
        fail('protocol', 'the server did not answer DATA with 354 alone');
        return;
      }
      contentBegun = true;
      writeContent(socket, request.content, { mayGoOn: () => !over, beforeDot });
      if (!dotWritten) step.limit(contentLimitMs(request.content.length, timeouts), late);
    };
    const inStep = (): boolean => tap.replies() === ENVELOPE_STAGES.length && !tap.midReply();
    const beforeDot = (): boolean => {
      if (!inStep()) {
        fail('protocol', 'the server answered the message before it had got it');
        return false;
      }
      dotWritten = true;
      step.shield();
      step.limit(timeouts.dotMs, late);
      return true;
    };

    const send = (): void => {
      tap.mark();
      session.content.onWanted = onData;
      connection.send(envelopeOf(request, facts.capabilities), session.content, onDone);
    };
    const begin = (): void => {
      withMailParameters(socket, mailParametersOf(request, facts.capabilities, deps.clock.now()), send);
    };

    session.watch((text) => {
      if (!over) fail('lost', text);
    });
    if (reused) {
      const rest = timeouts.envelopeMs - timeouts.reusedMs;
      step.limit(timeouts.reusedMs, () => (tap.replies() > 0 ? step.limit(rest, late) : late()));
    } else {
      step.limit(timeouts.envelopeMs, late);
    }
    if (!session.needsReset) {
      begin();
      return;
    }
    tap.mark();
    connection.reset((error) => {
      if (over) return;
      const inStepAgain = tap.replies() === 1 && !tap.midReply();
      tap.mark();
      if (error !== null || !inStepAgain) {
        fail('lost', error === null ? 'the server answered more than it was asked' : errorText(error));
        return;
      }
      session.needsReset = false;
      begin();
    });
  });
}

function contentLimitMs(bytes: number, timeouts: SmtpTimeouts): number {
  return timeouts.contentMs + Math.ceil(bytes / 1_000_000) * timeouts.contentPerMegabyteMs;
}

function lateText(stage: Stage, contentBegun: boolean): string {
  if (stage === 'dot') return 'no answer to the final dot in time';
  return contentBegun ? 'the server did not take the content in time' : `no answer to ${stage.toUpperCase()} in time`;
}
