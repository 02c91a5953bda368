/**
 * The relay's log of what becomes of its mail: one line per event, made from the event itself, so that the log and the
 * event list can never tell different stories. Acceptance and refusal are logged by the intake, which knows the client too.
 */
import type { RelayEvent } from '../core/event.ts';
import type { Log } from '../telemetry/log.ts';

/** Logs `event`; failures are warnings. */
export function logEvent(log: Log, event: RelayEvent): void {
  if (event.type === 'message.accepted' || event.type === 'message.rejected') return;
  const { message, delivery, attempt, bounce, route, webhook, reason, seq } = event.data;
  const fields = {
    event: event.type,
    seq,
    message: message?.id,
    delivery: delivery?.id ?? undefined,
    recipient: delivery?.recipient,
    message_id: message?.message_id ?? undefined,
    tag: message?.tag ?? undefined,
    flow: message?.flow ?? undefined,
    priority: message?.priority,
    credential: message?.credential ?? undefined,
    rule: message?.rule ?? undefined,
    state: delivery?.state,
    attempts: delivery?.attempts,
    next_attempt_at: delivery?.next_attempt_at,
    route: attempt?.route ?? route?.name,
    next_hop: attempt?.next_hop ?? undefined,
    outcome: attempt?.outcome,
    cause: attempt?.cause ?? undefined,
    stage: attempt?.stage ?? undefined,
    tls: attempt?.tls ?? undefined,
    code: attempt?.code,
    enhanced: attempt?.enhanced,
    response: attempt?.response,
    timings_ms: attempt?.timings_ms,
    bounce: bounce?.class,
    failed_over: event.data.failed_over?.map((failed) => `${failed.route}: ${failed.response}`),
    superseded_by: event.data.superseded_by,
    webhook: webhook?.name,
    reason: reason ?? route?.reason ?? webhook?.reason ?? bounce?.why ?? event.data.report?.diagnostic,
  };
  const text = event.type.slice(event.type.indexOf('.') + 1);
  switch (event.type) {
    case 'message.delivered':
    case 'route.up':
      log.info(fields, text);
      break;
    default:
      log.warn(fields, text);
  }
}
