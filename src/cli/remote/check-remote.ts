/**
 * `check --url`: whether a relay elsewhere takes mail, and what is wrong there. A relay that is not ready, or not there, is
 * an error; routes that are down and webhooks that are disabled are warnings, for mail goes on without them.
 */
import { z } from 'zod';
import { routeList } from '../../api/wire/route.ts';
import { webhookList } from '../../api/wire/webhook.ts';
import { type CheckFinding, createFindings, type Findings } from '../../doctor/finding.ts';
import { VERSION } from '../../version.ts';
import type { Section } from '../check-text.ts';
import { clean } from '../../api/story/clean.ts';
import type { RemoteClient } from './client.ts';
import { RemoteError } from './remote-error.ts';

const readiness = z.object({ status: z.string(), reasons: z.array(z.string()) });
const document = z.object({ info: z.object({ version: z.string() }) });

/** Asks `client`'s relay; what it refuses to tell is a warning. */
export async function checkRemote(client: RemoteClient): Promise<readonly Section[]> {
  const groups = [
    await asked('relay', client.target.text, 'error', (found) => checkReady(client, found)),
    await asked('version', '', 'warning', (found) => checkVersion(client, found)),
    await asked('route', '', 'warning', (found) => checkRoutes(client, found)),
    await asked('webhook', '', 'warning', (found) => checkWebhooks(client, found)),
  ];
  const [ready] = groups;
  // One that does not answer does not answer four times.
  const isThere = ready?.some(({ code }) => code === 'relay.unreachable') === false;
  return [{ title: client.target.text, findings: isThere ? groups.flat() : (ready ?? []) }];
}

async function asked(
  about: string,
  subject: string,
  level: 'error' | 'warning',
  ask: (found: Findings) => Promise<void>,
): Promise<readonly CheckFinding[]> {
  const found = createFindings(about, subject);
  try {
    await ask(found);
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    const words = { message: error.message, why: '', hint: error.hint };
    if (level === 'error') found.error('unreachable', words);
    else found.warning('unknown', words);
  }
  return found.list;
}

async function checkReady(client: RemoteClient, found: Findings): Promise<void> {
  const { status, value } = await client.ask('readyz', readiness);
  if (status === 200) {
    found.ok('takes mail');
    return;
  }
  const reasons = value.reasons.length === 0 ? ['it does not say why'] : value.reasons;
  for (const reason of reasons) {
    found.error('not-ready', {
      message: `not ready: ${clean(reason)}`,
      why: 'Apps are told to try again later, or their mail waits.',
      hint: 'Its log, and `leadpush-relay check` on its machine, say more.',
    });
  }
}

async function checkVersion(client: RemoteClient, found: Findings): Promise<void> {
  const { version } = (await client.call('openapi.json', document)).info;
  if (version === VERSION) found.ok(`version ${VERSION}, as this command`);
  else {
    found.warning('other', {
      message: `version ${clean(version)}; this command is ${VERSION}`,
      why: 'What one of them does not know yet, it cannot show.',
      hint: 'Update the older one.',
    });
  }
}

async function checkRoutes(client: RemoteClient, found: Findings): Promise<void> {
  const { data } = await client.call('v1/routes', routeList);
  const down = data.filter(({ breaker }) => breaker !== 'closed');
  for (const { name, down_since, reason } of down) {
    found.warning('down', {
      message: `${clean(name)} is down${down_since === null ? '' : ` since ${clean(down_since)}`}${reason === null ? '' : `: ${clean(reason)}`}`,
      why: 'Its mail goes over the next route of its rule, or waits when there is none.',
      hint: 'It is tried again by itself. `leadpush-relay check --connect` on its machine shows what the next hop says.',
    });
  }
  if (down.length === 0) found.ok(data.length === 1 ? '1 route, which is up' : `${data.length} routes, all up`);
}

async function checkWebhooks(client: RemoteClient, found: Findings): Promise<void> {
  const { data } = await client.call('v1/webhooks', webhookList);
  for (const { name, state, disabled_reason, failing_since } of data) {
    if (state === 'disabled') {
      found.warning('disabled', {
        message: `${clean(name)} is disabled${disabled_reason === null ? '' : `: ${clean(disabled_reason)}`}`,
        why: 'Its events wait.',
        hint: `leadpush-relay webhooks enable ${clean(name)}`,
      });
    } else if (failing_since !== null) {
      found.warning('failing', {
        message: `${clean(name)} has failed since ${clean(failing_since)}`,
        why: 'Its events wait, and are given up after three days.',
        hint: `leadpush-relay webhooks deliveries ${clean(name)}`,
      });
    }
  }
  if (found.list.length === 0) found.ok(data.length === 0 ? 'none' : `${data.length}, all well`);
}
