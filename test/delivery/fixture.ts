/** What the smarthost tests share: a route to a next hop, a request, and a transport that is stopped at the end. */
import { onTestFinished } from 'vitest';
import type { SmtpRouteConfig } from '../../src/config/types.ts';
import type { EnvelopeAddress } from '../../src/core/address.ts';
import type { DeliveryId, MessageId } from '../../src/core/ids.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { type Clock, systemClock } from '../../src/core/time.ts';
import { createSmarthostTransport } from '../../src/delivery/smarthost.ts';
import type { SmtpTimeouts } from '../../src/delivery/smtp/timeouts.ts';
import type { DeliveryRequest, Transport } from '../../src/delivery/transport.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { type NextHop, type NextHopOptions, startNextHop } from '../support/next-hop.ts';

export const CONTENT = 'From: a@example.com\r\nTo: ann@example.net\r\nSubject: hello\r\n\r\nbody\r\n';

export function routeTo(port: number, over: Partial<SmtpRouteConfig> = {}): SmtpRouteConfig {
  return {
    name: 'hop',
    type: 'smtp',
    host: '127.0.0.1',
    port,
    tls: 'none',
    auth: null,
    connections: 4,
    rate: null,
    ca: null,
    servername: null,
    connectTimeoutMs: { critical: 2_000, normal: 5_000, bulk: 5_000 },
    ehlo: null,
    ...over,
  };
}

export function requestFor(
  over: Partial<Omit<DeliveryRequest, 'recipient' | 'mailFrom' | 'content'>> & {
    readonly recipient?: string;
    readonly mailFrom?: string;
    readonly content?: string | Uint8Array;
  } = {},
): DeliveryRequest {
  return {
    messageId: 'msg_00000000000000000000000000' as MessageId,
    deliveryId: 'dlv_00000000000000000000000000' as DeliveryId,
    dsn: { ret: null, envid: null },
    recipientDsn: null,
    smtpUtf8: false,
    eightBit: false,
    priority: 'normal',
    hasAlternative: false,
    requireTls: false,
    deliverBy: null,
    ...over,
    mailFrom: (over.mailFrom ?? 'sender@example.com') as EnvelopeAddress,
    recipient: (over.recipient ?? 'ann@example.net') as EnvelopeAddress,
    content: Buffer.from(over.content ?? CONTENT),
  };
}

export interface Bench {
  readonly transport: Transport;
  deliver(over?: Parameters<typeof requestFor>[0], signal?: AbortSignal): Promise<Outcome>;
}

/** A transport to `route`; it is stopped when the test ends. */
export function benchFor(
  route: SmtpRouteConfig,
  clock: Clock = systemClock,
  timeouts: Partial<SmtpTimeouts> = {},
): Bench {
  const transport = createSmarthostTransport({ route, hostname: 'relay.example.com', clock, log: silentLog, timeouts });
  onTestFinished(() => transport.stop());
  return {
    transport,
    deliver: (over = {}, signal = new AbortController().signal) => transport.deliver(requestFor(over), signal),
  };
}

/** A next hop that is closed when the test ends. */
export async function hopWith(options: NextHopOptions = {}): Promise<NextHop> {
  const hop = await startNextHop(options);
  onTestFinished(() => hop.close());
  return hop;
}

/** A hop, a transport to it, and a clock that only the test moves. */
export async function manualBench(
  options: NextHopOptions = {},
  over: Partial<SmtpRouteConfig> = {},
): Promise<Bench & { readonly hop: NextHop; readonly clock: ManualClock }> {
  const hop = await hopWith(options);
  const clock = createManualClock(Date.parse('2026-01-05T10:00:00Z'));
  return { hop, clock, ...benchFor(routeTo(hop.port, over), clock) };
}

/** A hop and a transport to it in real time. */
export async function bench(
  options: NextHopOptions = {},
  over: Partial<SmtpRouteConfig> = {},
): Promise<Bench & { readonly hop: NextHop }> {
  const hop = await hopWith(options);
  return { hop, ...benchFor(routeTo(hop.port, over)) };
}
