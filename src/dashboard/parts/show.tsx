/** Small things that are shown everywhere: states, times, spans, tags, commands to copy. */
import { useEffect, useState } from 'react';
import { after, every, now } from '../lib/clock.ts';
import { MEANINGS, moodOf } from '../lib/states.ts';
import { due, exactTime, relative, shortTime } from '../lib/time.ts';

/** A state as a coloured word; what it means on hover. */
export function StateBadge({ state }: { readonly state: string }) {
  return (
    <span className={`badge ${moodOf(state)}`} title={MEANINGS[state]}>
      {state}
    </span>
  );
}

/** A time in the local zone; the exact one on hover. */
export function Time({ at }: { readonly at: string }) {
  return (
    <time dateTime={at} title={exactTime(at)} className="nowrap number">
      {shortTime(at, now())}
    </time>
  );
}

const UTC_TIME = /(\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ)/;

/** A sentence of the relay, which tells times in UTC: here they are in the local zone, as everywhere on the page. */
export function Sentence({ text }: { readonly text: string }) {
  // Split at a group, every second piece is what the group found.
  return text
    .split(UTC_TIME)
    .map((piece, index) => (index % 2 === 0 ? piece : <Time key={`${index} ${piece}`} at={piece.replace(' ', 'T')} />));
}

/** How far away a time is, kept up to date. */
export function Relative({ at }: { readonly at: string }) {
  const nowMs = useNow();
  return (
    <time dateTime={at} title={exactTime(at)} className="nowrap number">
      {relative(at, nowMs)}
    </time>
  );
}

/** When something comes next, kept up to date. */
export function Due({ at }: { readonly at: string }) {
  const nowMs = useNow();
  return (
    <time dateTime={at} title={exactTime(at)} className="nowrap number">
      {due(at, nowMs)}
    </time>
  );
}

/** The time, drawn again every second. */
export function useNow(): number {
  const [time, setTime] = useState(now);
  useEffect(() => every(1000, () => setTime(now())), []);
  return time;
}

export function Tag({ name }: { readonly name: string | null }) {
  return name === null ? <span className="faint">no tag</span> : <span className="tag">{name}</span>;
}

/** Copies `text`; says that it did. */
export function CopyButton({ text, label = 'Copy' }: { readonly text: string; readonly label?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => (copied ? after(1500, () => setCopied(false)) : undefined), [copied]);
  return (
    <button
      type="button"
      className="small"
      onClick={() => void navigator.clipboard?.writeText(text).then(() => setCopied(true))}
    >
      {copied ? 'Copied' : label}
    </button>
  );
}

/** A command to type on the relay's machine. */
export function Command({ text }: { readonly text: string }) {
  return (
    <span className="command">
      <code>{text}</code>
      <CopyButton text={text} />
    </span>
  );
}
