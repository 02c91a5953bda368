/**
 * AUTH (RFC 4954), with PLAIN where it is offered, else LOGIN.
 *
 * A route with a password never sends without having logged in, and never shows the password on a connection that leaves
 * the machine in the clear, whatever the config says.
 */
import tls from 'node:tls';
import { isLoopback } from '../../config/network.ts';
import { errorText } from '../../core/errors.ts';
import { type Answer, type Failure, failure, replyOf } from './ending.ts';
import type { Greeted, OpenSessionDeps } from './greet.ts';
import { createOpening } from './opening.ts';
import { runStep } from './step.ts';

/** Logs in when the endpoint has a password; null when all is well. Closes the connection when it is not. */
export function logIn(deps: OpenSessionDeps, greeted: Greeted, signal: AbortSignal): Promise<Answer | Failure | null> {
  const { endpoint, clock, timeouts } = deps;
  const { auth, nextHop } = endpoint;
  if (auth === null) return Promise.resolve(null);
  const { connection, socket, tap, capabilities } = greeted;

  const { isOver, handOn, giveUp } = createOpening(greeted);

  const mechanism = ['PLAIN', 'LOGIN'].find((name) => capabilities.authMechanisms.has(name));
  if (mechanism === undefined) {
    const offered = [...capabilities.authMechanisms].join(' ');
    const text =
      offered === ''
        ? `${nextHop} offers no AUTH, and the route has a username`
        : `${nextHop} offers AUTH with ${offered} only; PLAIN or LOGIN is needed`;
    return Promise.resolve(giveUp(failure('auth', 'auth', text)));
  }
  if (!(socket instanceof tls.TLSSocket) && !isLoopback(socket.remoteAddress ?? '')) {
    const text = `the connection to ${nextHop} is not encrypted: the password was not sent`;
    return Promise.resolve(giveUp(failure('auth', 'auth', text)));
  }

  const aborted = (): Failure => giveUp(failure('auth', 'aborted', `the relay gave up logging in to ${nextHop}`));
  return runStep<Answer | Failure | null>(clock, signal, aborted, (step) => {
    const end = (ending: Answer | Failure): void => {
      if (!isOver()) step.settle(giveUp(ending));
    };
    const fail = (error: Error): void => {
      const reply = replyOf(error);
      if (reply !== null && !tap.midReply()) end({ kind: 'answer', stage: 'auth', reply });
      else end(failure('auth', 'lost', `${nextHop}: ${errorText(error)}`));
    };
    step.limit(timeouts.authMs, () =>
      end(failure('auth', 'timeout', `${nextHop} had not answered AUTH within ${timeouts.authMs} ms`)),
    );
    tap.listen({
      onChunk: () => {},
      onFlood: () => end(failure('auth', 'protocol', `${nextHop} said too much during AUTH`)),
    });
    connection.on('error', fail);
    connection.once('end', () => queueMicrotask(() => fail(new Error('the connection was closed'))));
    connection.login({ method: mechanism, user: auth.username, pass: auth.password }, (error) => {
      if (error !== null) {
        fail(error);
        return;
      }
      if (isOver()) return;
      handOn();
      step.settle(null);
    });
  });
}
