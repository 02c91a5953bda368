/** `webhooks`: the check of what arrives. */
import { verifyWebhook } from './verify.ts';

export interface Webhooks {
  /** The event of a webhook that arrived, when the relay signed it; see `verifyWebhook`. Asks nobody. */
  readonly verify: typeof verifyWebhook;
}

/** The calls. */
export function createWebhooks(): Webhooks {
  return { verify: verifyWebhook };
}
