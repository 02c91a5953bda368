/**
 * What a tag is when the config says no more than `preset: NAME`: values that suit the common kinds of recovery mail. Every one
 * of them can be written out in the tag, which then counts.
 */
import type { TagConfig } from './types.ts';

/** The values of a tag that a preset sets. */
export type PresetValues = Pick<
  TagConfig,
  'priority' | 'ttlMs' | 'delayedAfterMs' | 'collapse' | 'throttle' | 'suppression' | 'links'
>;

export interface Preset extends PresetValues {
  readonly name: PresetName;
  readonly meaning: string;
}

export const PRESET_NAMES = ['password-reset', 'admin-reset', 'compromised-account', 'otp', 'magic-link'] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A person waits for all of it; what breaks the link policy is noted, because no preset can know the hosts. */
const COMMON = {
  priority: 'critical',
  delayedAfterMs: 30_000,
  links: { hosts: [], schemes: ['https'], action: 'warn' },
} as const satisfies Partial<PresetValues>;

function perHour(count: number): TagConfig['throttle'] {
  return { perRecipient: { count, perMs: HOUR_MS } };
}

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  'password-reset': {
    ...COMMON,
    name: 'password-reset',
    meaning: '"Forgot password": the newest link alone, in time or not at all.',
    ttlMs: 15 * MINUTE_MS,
    collapse: 'recipient',
    throttle: perHour(5),
    suppression: 'bypass',
  },
  'admin-reset': {
    ...COMMON,
    name: 'admin-reset',
    meaning: 'Support or an admin restores access.',
    ttlMs: HOUR_MS,
    collapse: 'recipient',
    throttle: perHour(10),
    suppression: 'bypass',
  },
  'compromised-account': {
    ...COMMON,
    name: 'compromised-account',
    meaning: 'Suspicious login, forced rotation: every notice counts, none takes the place of another.',
    ttlMs: HOUR_MS,
    collapse: 'none',
    throttle: perHour(20),
    suppression: 'bypass',
  },
  otp: {
    ...COMMON,
    name: 'otp',
    meaning: 'A code to sign in with.',
    ttlMs: 10 * MINUTE_MS,
    collapse: 'recipient',
    throttle: perHour(10),
    suppression: 'apply',
  },
  'magic-link': {
    ...COMMON,
    name: 'magic-link',
    meaning: 'A link to sign in with.',
    ttlMs: 15 * MINUTE_MS,
    collapse: 'recipient',
    throttle: perHour(10),
    suppression: 'apply',
  },
};
