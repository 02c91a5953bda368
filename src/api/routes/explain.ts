/** A dry run of a message: what would become of it, and why. Nothing is kept. */
import type { Config } from '../../config/types.ts';
import type { Clock } from '../../core/time.ts';
import { explain } from '../../intake/explain.ts';
import { parseMessage } from '../../mail/parse.ts';
import { refuse } from '../answer.ts';
import { type Api, problems } from '../api.ts';
import { identityOf } from '../caller.ts';
import { compose } from '../compose.ts';
import { explanation } from '../wire/explanation.ts';
import { explainRequest } from '../wire/send.ts';

export interface ExplainDeps {
  /** As it is now. */
  readonly config: () => Config;
  readonly clock: Clock;
}

const MAX_BYTES = 1024 ** 2;
const NON_ASCII = /[^\0-\x7f]/;

/** Adds `POST /v1/rules/explain`. */
export function addExplain(api: Api, { config, clock }: ExplainDeps): void {
  api.post(
    '/v1/rules/explain',
    {
      config: { scope: 'read', bodyBytes: () => MAX_BYTES },
      schema: {
        operationId: 'explainMessage',
        tags: ['relay'],
        summary: 'Which tag, rule, route and sender a message would get, and why',
        description: 'The fields are those of sending; only `from` has to be there. Nothing is sent or kept.',
        body: explainRequest,
        response: { 200: explanation, ...problems('malformed-message', 'too-large', 'unsupported-media-type') },
      },
    },
    async ({ body: { message, credential }, caller, ip }, reply) => {
      const current = config();
      const named = current.credentials.find(({ username }) => username === credential) ?? null;
      if (credential !== null && named === null) {
        return refuse(reply, 'validation', 'Some values are not accepted: see errors.', [
          { pointer: '/credential', in: 'body', detail: 'is not a credential of the config' },
        ]);
      }
      if (caller === null) throw new Error('a call without a caller');
      const parsed = parseMessage(await compose(message, null));
      if (parsed.kind === 'malformed') return refuse(reply, 'malformed-message', `${parsed.reason}.`);
      const recipients = [...message.to, ...message.cc, ...message.bcc];
      return explain(current, {
        submitter: {
          credential: named ?? identityOf(caller, current.credentials),
          address: ip,
          helo: '',
          tls: null,
          protocol: 'HTTP',
        },
        envelope: {
          mailFrom: message.from.address,
          recipients: recipients.map(({ address }) => ({ address, dsn: null })),
          dsn: { ret: null, envid: null },
          smtpUtf8: [message.from, ...recipients].some(({ address }) => NON_ASCII.test(address)),
          deliverBySeconds: null,
        },
        bytes: parsed.bytes,
        fields: parsed.fields,
        now: clock.now(),
        isOwnReport: false,
      });
    },
  );
}
