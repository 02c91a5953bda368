/** What the API says of the store's facts, read back by a command, is what the store had. */
import { expect, test } from 'vitest';
import type { z } from 'zod';
import type { AttemptFacts } from '../../../src/api/wire/attempt.ts';
import type { Plain } from '../../../src/api/wire/json.ts';
import {
  type DeliveryFacts,
  messageDetail,
  type MessageFacts,
  wireMessageDetail,
} from '../../../src/api/wire/message.ts';
import { queueRow, wireQueueRow } from '../../../src/api/wire/queue.ts';
import { fault, statsRow, wireFault, wireStats } from '../../../src/api/wire/stats.ts';
import { suppression, type SuppressionFacts, wireSuppression } from '../../../src/api/wire/suppression.ts';
import {
  attemptFacts,
  faultFacts,
  messageFacts,
  queueFacts,
  statsFacts,
  suppressionFacts,
} from '../../../src/cli/remote/facts.ts';
import { BOUNCE_CLASSES } from '../../../src/core/bounce.ts';
import { DELIVERY_STATES } from '../../../src/core/delivery.ts';
import type { LinkAudit } from '../../../src/core/link-audit.ts';
import { PRIORITIES, TAG_SOURCES } from '../../../src/core/message.ts';
import { STAGES } from '../../../src/core/outcome.ts';
import type { FaultRow, QueueRow, StatsRow } from '../../../src/store/history.ts';
import fc from '../../support/properties.ts';

/** As `value` comes over HTTP, read as `schema` says. */
function sent<T>(schema: z.ZodType<T>, value: T): T {
  return schema.parse(JSON.parse(JSON.stringify(value)));
}

/** Whatever `facts` are, `trip` over HTTP gives them back. */
function comesBack<T>(facts: fc.Arbitrary<T>, trip: (facts: T) => T): void {
  fc.assert(
    fc.property(facts, (given) => {
      expect(trip(given)).toEqual(given);
    }),
  );
}

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const texts = fc.array(text, { maxLength: 3 });
const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { nil: null });
const count = fc.nat();
/** Epoch milliseconds from 1970 to 9999. */
const moment = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) });
const state = fc.constantFrom(...DELIVERY_STATES);
const priority = fc.constantFrom(...PRIORITIES);
const verdict = fc.constantFrom('pass' as const, 'warn' as const, 'reject' as const);

const links: fc.Arbitrary<LinkAudit> = fc.record({
  verdict,
  links: fc.array(
    fc.record({ scheme: text, host: orNull(text), shown: orNull(text), kind: text, count, verdict, codes: texts }),
    { minLength: 1, maxLength: 2 },
  ),
  findings: fc.array(
    fc.record({
      code: text,
      severity: fc.constantFrom('breach' as const, 'warning' as const),
      part: fc.constantFrom('text' as const, 'html' as const, 'message' as const),
      host: orNull(text),
      count,
      text,
    }),
    { maxLength: 2 },
  ),
  omitted: fc.record({ links: count, findings: count }),
});

const delivery: fc.Arbitrary<Omit<DeliveryFacts, 'id'>> = fc.record({
  recipient: text,
  state,
  attempts: count,
  rule: text,
  ruleReason: text,
  via: texts,
  route: text,
  nextAttemptAt: orNull(moment),
  lastResponse: orNull(text),
  deliveredAt: orNull(moment),
  bounce: orNull(fc.record({ class: fc.constantFrom(...BOUNCE_CLASSES), why: text })),
  supersededBy: orNull(text),
  updatedAt: moment,
});

const message: fc.Arbitrary<MessageFacts> = fc.record({
  id: text,
  headerMessageId: text,
  mailFrom: text,
  headerFrom: text,
  tag: orNull(text),
  tagSource: fc.constantFrom(...TAG_SOURCES),
  flow: orNull(text),
  metadata: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), text, { maxKeys: 3 }),
  priority,
  collapseKey: orNull(text),
  credential: orNull(text),
  rule: text,
  acceptedAt: moment,
  deadline: moment,
  deadlineSource: fc.constantFrom('header' as const, 'deliverby' as const, 'tag' as const, 'give-up' as const),
  size: count,
  signatures: texts,
  warnings: texts,
  links: orNull(links),
  client: fc.record({ address: text, helo: text, tls: orNull(text) }),
  contentKept: fc.boolean(),
  deliveries: fc
    .array(delivery, { maxLength: 3 })
    .map((some) => some.map((facts, index) => ({ ...facts, id: `dlv_${index}` }))),
});

const attempt: fc.Arbitrary<Omit<AttemptFacts, 'deliveryId' | 'startedAt'>> = fc.record({
  number: count,
  route: text,
  outcome: fc.constantFrom('delivered' as const, 'deferred' as const, 'rejected' as const, 'uncertain' as const),
  cause: orNull(text),
  next_hop: orNull(text),
  tls: orNull(text),
  cipher: orNull(text),
  stage: orNull(fc.constantFrom(...STAGES)),
  code: orNull(count),
  enhanced: orNull(text),
  response: text,
  timings_ms: fc.dictionary(fc.constantFrom('queue', 'connect', 'tls'), fc.nat({ max: 60_000 })),
});

test('a message comes back as it was', () => {
  comesBack(message, (facts) => messageFacts(sent(messageDetail, wireMessageDetail(facts, []))));
});

test('the attempts of all deliveries come back as they were, in the order in which they began', () => {
  fc.assert(
    fc.property(message, fc.array(attempt, { maxLength: 6 }), (facts, some) => {
      const { deliveries } = facts;
      const attempts =
        deliveries.length === 0
          ? []
          : some.map((one, index): AttemptFacts => {
              return { ...one, deliveryId: deliveries[index % deliveries.length]?.id ?? '', startedAt: index };
            });
      expect(attemptFacts(sent(messageDetail, wireMessageDetail(facts, attempts)))).toEqual(attempts);
    }),
  );
});

test('what waits comes back as it was', () => {
  const row: fc.Arbitrary<Plain<QueueRow>> = fc.record({
    messageId: text,
    deliveryId: text,
    recipient: text,
    state,
    route: text,
    priority,
    tag: orNull(text),
    attempts: count,
    acceptedAt: moment,
    dueAt: orNull(moment),
    deadline: moment,
    lastResponse: orNull(text),
  });
  comesBack(row, (facts) => queueFacts(sent(queueRow, wireQueueRow(facts))));
});

test('counts and times of a tag come back as they were', () => {
  const row: fc.Arbitrary<StatsRow> = fc.record({
    tag: orNull(text),
    accepted: count,
    states: fc.dictionary(state, count),
    p50Ms: orNull(count),
    p95Ms: orNull(count),
    p99Ms: orNull(count),
  });
  comesBack(row, (facts) => statsFacts(sent(statsRow, wireStats(facts))));
});

test('a kind of fault comes back as it was', () => {
  const row: fc.Arbitrary<FaultRow> = fc.record({
    route: text,
    outcome: text,
    cause: orNull(text),
    stage: text,
    code: orNull(count),
    enhanced: orNull(text),
    count,
    response: text,
    lastAt: moment,
  });
  comesBack(row, (facts) => faultFacts(sent(fault, wireFault(facts))));
});

test('an entry of the suppression list comes back as it was', () => {
  const entry: fc.Arbitrary<SuppressionFacts> = fc.record({
    recipient: text,
    reason: fc.constantFrom('bounce' as const, 'complaint' as const, 'manual' as const),
    detail: text,
    messageId: orNull(text),
    createdAt: moment,
    expiresAt: orNull(moment),
  });
  comesBack(entry, (facts) => suppressionFacts(sent(suppression, wireSuppression(facts))));
});
