/** A recovery flow on a terminal: what became of its reset, its messages, and every step with the time since the one before. */
import { clean } from '../api/story/clean.ts';
import type { FlowMessage, FlowReport } from '../api/story/flow.ts';
import { span } from '../api/story/format.ts';
import { momentsOf, type Story } from '../api/story/moments.ts';
import { type Paint, paintState } from './paint.ts';

/** The report and every step for people: gaps are times since the step before. */
export function flowText(report: FlowReport, stories: readonly Story[], paint: Paint): string {
  const number = new Map(report.messages.map(({ id }, index) => [id, `#${index + 1}`]));
  const steps = stories
    .flatMap((story) => momentsOf(story).map((moment) => ({ ...moment, label: number.get(story.id) ?? '' })))
    // A route's ups and downs concern several messages, and are told once.
    .filter(
      (step, index, all) =>
        !step.word.startsWith('route.') ||
        all.findIndex((other) => other.at === step.at && other.word === step.word && other.text === step.text) ===
          index,
    )
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const state = report.verdict === 'delivered' ? 'delivered' : report.verdict === 'failed' ? 'bounced' : 'deferred';
  const lines = [
    paint.bold(paintState(paint, state, report.text)),
    '',
    `  flow      ${clean(report.flow)}, ${report.messages.length === 1 ? '1 message' : `${report.messages.length} messages`}`,
    ...report.messages.flatMap(messageLines),
    '',
    ...steps.map(({ at, word, text, label }, index) => {
      const time = `${at.slice(11, 23)}  ${gapOf(at, steps[index - 1]?.at, report.started_at).padStart(12)}`;
      return `  ${paint.dim(time)}  ${label.padEnd(4)}${paintState(paint, word, word.padEnd(11))} ${text}`.trimEnd();
    }),
  ];
  return `${lines.join('\n')}\n`;
}

/** Since the step before; of a route's trouble that was there before the flow began, how long before. */
function gapOf(at: string, before: string | undefined, start: string): string {
  if (at < start) return `-${span(Date.parse(start) - Date.parse(at))}`;
  return before === undefined || before < start ? 'begins' : `+${span(Date.parse(at) - Date.parse(before))}`;
}

function messageLines(message: FlowMessage, index: number): readonly string[] {
  const gap = message.gap_ms === null ? '' : `, ${span(message.gap_ms)} after #${index}`;
  return message.deliveries.map(({ recipient, state, after_ms }) => {
    const took = after_ms === null ? '' : ` in ${span(after_ms)}`;
    return `  ${`#${index + 1}`.padEnd(10)}${clean(message.tag ?? 'no tag')} to ${clean(recipient)}  ${state}${took}${gap}  ${message.id}`;
  });
}
