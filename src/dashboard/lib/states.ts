/** States of a delivery, what kind of news each is, and what it means in one line. */

export const STATES = [
  'queued',
  'sending',
  'deferred',
  'delivered',
  'bounced',
  'expired',
  'superseded',
  'suppressed',
  'throttled',
  'canceled',
  'quarantined',
] as const;

export type Mood = 'good' | 'wait' | 'bad' | 'quiet';

const MOODS: Readonly<Record<string, Mood>> = {
  delivered: 'good',
  queued: 'wait',
  sending: 'wait',
  deferred: 'wait',
  bounced: 'bad',
  expired: 'bad',
  quarantined: 'bad',
  rejected: 'bad',
  complained: 'bad',
  throttled: 'bad',
  suppressed: 'quiet',
  superseded: 'quiet',
  canceled: 'quiet',
  mixed: 'wait',
};

export const MEANINGS: Readonly<Record<string, string>> = {
  queued: 'waits for its first attempt, or was put back to work',
  sending: 'is being sent just now',
  deferred: 'was tried and will be tried again',
  delivered: 'the next hop took it',
  bounced: 'refused for good by the next hop',
  expired: 'its deadline passed before it could be delivered',
  superseded: 'a newer message took its place',
  suppressed: 'not sent: the address is on the suppression list',
  throttled: 'not sent: over a flood guard',
  canceled: 'taken off the queue by an operator',
  quarantined: 'the relay ended again and again while it worked on it; an operator must look',
  rejected: 'refused at submission; the app was told',
  mixed: 'its recipients are in different states',
};

/** Whether `state` is good news, a wait, bad news or neither. */
export function moodOf(state: string): Mood {
  return MOODS[state] ?? 'quiet';
}

/** What kind of news a message's verdict is: mail that came back is bad news, and so is mail that was not sent without a word to the app. */
export function verdictMood({ state, came_back }: { readonly state: string; readonly came_back: boolean }): Mood {
  return came_back || state === 'suppressed' ? 'bad' : moodOf(state);
}

/** True while a delivery in `state` may still be delivered by itself. */
export function isPending(state: string): boolean {
  return state === 'queued' || state === 'sending' || state === 'deferred';
}

/** True when an operator may put it back to work. */
export function mayRetry(state: string): boolean {
  return ['queued', 'deferred', 'quarantined', 'bounced', 'expired', 'canceled'].includes(state);
}

/** True when an operator may take it off. */
export function mayCancel(state: string): boolean {
  return ['queued', 'deferred', 'quarantined'].includes(state);
}

/** The one word for several deliveries. */
export function overall(states: readonly string[]): string {
  const different = new Set(states);
  const [only = 'mixed'] = different;
  return different.size === 1 ? only : 'mixed';
}
