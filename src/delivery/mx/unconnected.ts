/** Outcomes of attempts, or of tries within one, that came to no connection. Pure. */
import type { Cause, Outcome } from '../../core/outcome.ts';
import { cleanRemoteText } from '../../mail/clean.ts';
import { judge, MAX_RESPONSE_LENGTH, outcomeOf } from '../judged.ts';
import { failure } from '../smtp/ending.ts';

/** What `text` says, at stage `dns` unless another is given. */
export function unconnected(
  kind: 'deferred' | 'rejected',
  cause: Cause,
  text: string,
  stage: 'dns' | 'connect' = 'dns',
): Outcome {
  return {
    kind,
    cause,
    stage,
    nextHop: null,
    tls: null,
    code: null,
    enhanced: null,
    response: cleanRemoteText(text, MAX_RESPONSE_LENGTH),
    timings: {},
  };
}

/** The relay itself gave the attempt up. */
export function abortedOutcome(): Outcome {
  const ending = failure('connect', 'aborted', 'the relay gave the attempt up before a message was sent');
  return outcomeOf(judge(ending, 'mx'), { nextHop: null, tls: null, timings: {} });
}
