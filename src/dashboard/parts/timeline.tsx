/** The steps of a message on a time line: when, what, over which route, how it was answered. All texts are shown as text. */
import type { Attempt } from '../api/types.ts';
import { answerOf, durationOf, startOf, type Step } from '../lib/story.ts';
import { exactTime, preciseClock, span } from '../lib/time.ts';
import { Link } from './link.tsx';
import { Phases } from './phases.tsx';
import { Due } from './show.tsx';

/** Waits of a second and more are drawn between the steps. */
const SHOWN_GAP_MS = 1000;

export function Timeline({ steps, several }: { readonly steps: readonly Step[]; readonly several: boolean }) {
  const start = startOf(steps);
  const scaleMs = Math.max(1, ...steps.map(({ attempt }) => (attempt === null ? 0 : durationOf(attempt))));
  return (
    <ol className="timeline">
      {steps.map((step, index) => {
        const before = steps[index - 1];
        const gap = before === undefined ? 0 : Date.parse(step.at) - endOf(before);
        return (
          <li key={step.key} className={`step ${step.mood}`}>
            {gap >= SHOWN_GAP_MS ? <p className="gap">{span(gap)} later</p> : null}
            <div className="step-time">
              <time dateTime={step.at} title={exactTime(step.at)}>
                {preciseClock(step.at)}
              </time>
              <span className="faint">{since(Date.parse(step.at) - start)}</span>
            </div>
            <div className="step-body">
              <p>
                <strong className={`word text-${step.mood}`}>{step.word}</strong>
                {several && step.recipient !== null ? <span className="muted break"> {step.recipient}</span> : null}
                {step.attempt === null ? null : (
                  <span className="muted">
                    {' '}
                    attempt {step.attempt.number} over {step.attempt.route}, took {span(durationOf(step.attempt))}
                  </span>
                )}
              </p>
              {step.attempt === null ? null : <AttemptFacts attempt={step.attempt} scaleMs={scaleMs} />}
              {step.text === '' ? null : <p className="break">{step.text}</p>}
              {step.related.map((id) => (
                <p key={id}>
                  <Link href={`/messages/${id}`} className="mono break">
                    {id}
                  </Link>
                </p>
              ))}
              {step.nextAttemptAt === null || index < steps.length - 1 ? null : (
                <p className="faint">
                  next attempt <Due at={step.nextAttemptAt} />
                </p>
              )}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

function endOf({ at, attempt }: Step): number {
  return Date.parse(at) + (attempt === null ? 0 : durationOf(attempt));
}

function since(ms: number): string {
  return ms < 0 ? `-${span(-ms)}` : `+${span(ms)}`;
}

function AttemptFacts({ attempt, scaleMs }: { readonly attempt: Attempt; readonly scaleMs: number }) {
  const tls = attempt.tls === null ? 'no TLS' : `${attempt.tls}${attempt.cipher === null ? '' : ` ${attempt.cipher}`}`;
  const isCapture = attempt.next_hop === 'sandbox';
  return (
    <>
      {isCapture || attempt.next_hop === null ? null : (
        <p className="muted break">
          <code>{attempt.next_hop}</code> · {tls}
          {attempt.outcome === 'delivered' || attempt.stage === null ? '' : ` · ended at ${attempt.stage}`}
          {attempt.cause === null ? '' : ` · cause: ${attempt.cause}`}
        </p>
      )}
      <pre className="reply">{answerOf(attempt)}</pre>
      <Phases timings={attempt.timings_ms} scaleMs={scaleMs} />
    </>
  );
}
