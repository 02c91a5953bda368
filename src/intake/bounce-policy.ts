/**
 * What the bounce listener takes: reports about mail of this relay's, and nothing else.
 *
 *   RCPT   550 5.1.1   not a return path of ours, not of a delivery that is still known, not a fixed address
 *   dot    250         recorded; or at a return path and not worth recording (out of office, `delivered`): one log line
 *          550 5.1.1   a fixed address, and no complaint about mail that is known
 *          451/452     the database cannot record it: the report comes again
 *
 * The fixed addresses are `fbl@`, `abuse@` and `postmaster@` each return path domain: feedback loops are registered with one.
 * They take complaints alone. It never relays and never answers with a message, so no backscatter comes from it.
 *
 * A report is recorded durably before its 250. When the relay ends in between, the report comes again and is a duplicate.
 *
 * Known limit: `postmaster@` a return path domain reaches no person (RFC 5321, section 4.5.1): that domain's mail is this
 * listener. The refusal says so.
 */
import { addressKey, domainOf, type EnvelopeAddress } from '../core/address.ts';
import { RelayError } from '../core/errors.ts';
import type { DeliveryId } from '../core/ids.ts';
import { type Refusal, refuse } from '../core/refusal.ts';
import type { Clock } from '../core/time.ts';
import { type Match, matchAtFixedAddress, matchAtReturnPath } from '../feedback/match.ts';
import type { ReturnPaths } from '../feedback/return-path.ts';
import { type MailReport, readReport } from '../mail/report.ts';
import type { Feedback, FeedbackStore, HealthStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { BounceSettings } from './bounce-settings.ts';
import type { BriefLog } from './smtp-brief-log.ts';
import { hasBadLineEnds } from './smtp-content.ts';
import type { Receipt, SmtpPolicy } from './smtp-policy.ts';
import type { Submission } from './submission.ts';

export interface BouncePolicyDeps {
  /** Read at each use. */
  readonly settings: () => BounceSettings;
  readonly feedback: FeedbackStore;
  readonly health: Pick<HealthStore, 'current'>;
  readonly paths: ReturnPaths;
  readonly clock: Clock;
  readonly log: Log;
  readonly brief: BriefLog;
}

const FIXED_LOCAL_PARTS: ReadonlySet<string> = new Set(['fbl', 'abuse', 'postmaster']);
const NO_SUCH_ADDRESS = 'No such address here: only reports about mail of this relay are taken';

/** Makes the policy of the bounce listeners. */
export function createBouncePolicy(deps: BouncePolicyDeps): SmtpPolicy {
  const { settings, feedback, health, paths, clock, log, brief } = deps;

  return {
    offers: [],
    purpose: 'this port takes reports about mail of this relay',
    credentials: null,
    admits: () => true,

    checkMail() {
      const state = health.current();
      if (state.accepting) return null;
      return storeRefusal(state.kind === 'full', state.reason);
    },

    async checkRcpt(recipient) {
      const target = targetOf(recipient);
      if (target === 'fixed') return null;
      try {
        if (target !== null && (await feedback.knows(target))) return null;
      } catch (error) {
        return refusalOf(error);
      }
      return refuse(550, '5.1.1', NO_SUCH_ADDRESS);
    },

    async accept(submission) {
      // As everywhere: two servers must not disagree about where a message ends.
      if (hasBadLineEnds(submission.content)) return refuse(550, '5.6.0', 'Bare CR, LF or NUL in the message');
      const report = readReport(submission.content);
      try {
        return await record(report, submission);
      } catch (error) {
        return refusalOf(error);
      }
    },
  };

  /** Which delivery `recipient` names, `fixed` for a fixed address, or null when it is none of ours. */
  function targetOf(recipient: EnvelopeAddress): DeliveryId | 'fixed' | null {
    if (!settings().domains.has(domainOf(recipient))) return null;
    const key = addressKey(recipient);
    return FIXED_LOCAL_PARTS.has(key.slice(0, key.lastIndexOf('@'))) ? 'fixed' : paths.read(recipient);
  }

  async function record(report: MailReport | null, submission: Submission): Promise<Receipt | Refusal> {
    const { suppressForMs } = settings();
    const now = clock.now();
    const client = submission.submitter.address;
    let taken = false;
    let refusal: Refusal | null = null;
    for (const { address } of submission.envelope.recipients) {
      const target = targetOf(address);
      const match = await matchOf(target);
      switch (match.kind) {
        case 'matched':
          for (const item of match.feedback) await recordOne(item, client);
          taken = true;
          break;
        case 'ignored':
          taken = true;
          log.info(
            {
              event: 'feedback.ignored',
              client,
              reason: match.reason,
              ...(isDelivery(target) ? { delivery: target } : {}),
            },
            'a message to the bounce listener was taken and dropped',
          );
          break;
        case 'unmatched':
          refusal = refuse(550, '5.1.1', 'Only reports about mail of this relay are taken here', match.reason);
          brief.warn(
            { event: 'feedback.refused', client, reason: match.reason },
            'a message to the bounce listener was refused',
          );
          break;
      }
    }
    // Of several recipients one reply tells: a report that was taken for one must not come again.
    return refusal !== null && !taken ? refusal : { kind: 'taken', text: 'Ok: report taken' };

    async function matchOf(target: DeliveryId | 'fixed' | null): Promise<Match> {
      // The config changed since RCPT.
      if (target === null) return { kind: 'unmatched', reason: 'the return path domain is no longer configured' };
      if (target !== 'fixed') return matchAtReturnPath(report, target, { suppressForMs, now });
      if (report === null) return { kind: 'unmatched', reason: 'no report, and nobody reads mail here' };
      return matchAtFixedAddress(report, { feedback, paths, suppressForMs, now });
    }
  }

  async function recordOne(item: Feedback, client: string): Promise<void> {
    const result = await feedback.record(item);
    // A recorded one is logged as its event.
    if (result === 'recorded') return;
    log.info(
      {
        event: 'feedback.ignored',
        delivery: item.deliveryId,
        client,
        reason: result === 'duplicate' ? 'the same was reported before' : 'its delivery is no longer in the database',
      },
      'a report was taken and dropped',
    );
  }

  function refusalOf(error: unknown): Refusal {
    if (!(error instanceof RelayError)) throw error;
    log.error({ event: 'feedback.failed', code: error.code, reason: error.message }, 'a report could not be recorded');
    return storeRefusal(error.code === 'store-full', error.message);
  }
}

function isDelivery(target: DeliveryId | 'fixed' | null): target is DeliveryId {
  return target !== null && target !== 'fixed';
}

function storeRefusal(full: boolean, reason: string): Refusal {
  return full
    ? refuse(452, '4.3.1', 'Insufficient system storage, try again later', reason)
    : refuse(451, '4.3.0', 'Reports cannot be recorded just now, try again later', reason);
}
