/** A message for the tests of the store; of use in a child process too. */
import type { Ids } from '../../src/core/ids.ts';
import type { MessageRecord, NewDelivery } from '../../src/core/message.ts';
import type { NewMessage } from '../../src/store/store.ts';
import { address } from '../support/address.ts';

export interface MessageWishes {
  readonly record?: Partial<MessageRecord>;
  readonly recipients?: readonly string[];
  readonly delivery?: Partial<Omit<NewDelivery, 'id' | 'recipient'>>;
  readonly content?: Uint8Array;
  readonly idempotencyKey?: string;
  readonly leaseMs?: number;
  readonly collapseScope?: string;
  readonly suppression?: NewMessage['suppression'];
  readonly digest?: string;
  readonly throttles?: NewMessage['throttles'];
  readonly delayedAfterMs?: number;
  readonly wantsReports?: boolean;
  readonly paysReport?: number;
}

/** A message to ann@example.net over route `ses`, due within 15 minutes; give what the test is about. */
export function newMessage(ids: Ids, now: number, wishes: MessageWishes = {}): NewMessage {
  const content = wishes.content ?? Buffer.from('From: a@example.com\r\n\r\nhello\r\n');
  const id = wishes.record?.id ?? ids.message();
  const acceptedAt = wishes.record?.acceptedAt ?? now;
  return {
    record: {
      id,
      headerMessageId: `<${id}@accounts.example.com>`,
      mailFrom: address('bounce@example.com'),
      headerFrom: 'security@example.com',
      dsn: { ret: null, envid: null },
      smtpUtf8: false,
      tag: 'password-reset',
      tagSource: 'header',
      flow: null,
      metadata: {},
      priority: 'normal',
      collapseKey: null,
      requireTls: false,
      credential: 'keycloak',
      rule: 'recovery',
      acceptedAt,
      deadline: acceptedAt + 900_000,
      deadlineSource: 'tag',
      size: content.length,
      eightBit: false,
      signatures: [],
      warnings: [],
      links: null,
      client: { address: '10.0.0.1', helo: 'app.example.com', tls: null },
      ...wishes.record,
    },
    deliveries: (wishes.recipients ?? ['ann@example.net']).map((recipient) => ({
      id: ids.delivery(),
      recipient: address(recipient),
      dsn: null,
      rule: 'recovery',
      ruleReason: 'its tag is password-reset',
      via: ['ses', 'postmark'],
      route: 'ses',
      byDestination: false,
      returnPath: null,
      ...wishes.delivery,
    })),
    content,
    idempotency:
      wishes.idempotencyKey === undefined
        ? null
        : {
            scope: 'keycloak',
            key: wishes.idempotencyKey,
            expiresAt: acceptedAt + 86_400_000,
            digest: wishes.digest ?? 'digest',
          },
    leaseMs: wishes.leaseMs ?? null,
    collapseScope: wishes.collapseScope ?? null,
    suppression: wishes.suppression ?? 'apply',
    throttles: wishes.throttles ?? [],
    delayedAfterMs: wishes.delayedAfterMs ?? null,
    wantsReports: wishes.wantsReports ?? false,
    paysReport: wishes.paysReport ?? null,
  };
}
