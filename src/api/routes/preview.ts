/**
 * A captured message as a developer wants to see it: header, text, HTML, links, signatures, attachments. With the scope `admin`,
 * while the content is kept, and only for mail that a sandbox route captured. Each use of it is in the log.
 *
 * The HTML is a document of its own, for a frame: its policy lets it draw with styles and `data:` pictures and do nothing else, and
 * `sandbox` takes scripts, forms, navigation and the origin from it, also when somebody opens its address by itself.
 */
import { z } from 'zod';
import type { MessageId } from '../../core/ids.ts';
import { parseMessageId } from '../../core/ids.ts';
import { readHtml } from '../../mail/html-links.ts';
import { type OpenedMail, openMail } from '../../mail/open-mail.ts';
import type { SignatureCheck } from '../../signing/sign.ts';
import type { AttemptView, HistoryStore, MessageView } from '../../store/history.ts';
import type { Log } from '../../telemetry/log.ts';
import { refuse } from '../answer.ts';
import { logContentRead } from '../content-read.ts';
import { type Api, problems } from '../api.ts';
import { type WireHeaderField, preview, type WirePreview } from '../wire/preview.ts';
import type { FastifyReply } from 'fastify';

export interface PreviewDeps {
  readonly history: Pick<HistoryStore, 'message' | 'attempts' | 'content'>;
  /** Of the config as it is now. */
  readonly signatures: () => SignatureCheck;
  readonly log: Log;
}

/** Of the document that shows the HTML of a mail. */
export const MAIL_POLICY: string = [
  "default-src 'none'",
  'img-src data:',
  "style-src 'unsafe-inline'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
  'sandbox',
].join('; ');

/**
 * Behind the mail, so that its doctype stays first. A press on a link goes nowhere in that frame, and yet a browser may open a connection
 * for it; the links are listed beside it.
 */
const UNTOUCHED = '<style>a, area, button, input, select { pointer-events: none !important }</style>';

const MAX_LINKS = 200;
const MAX_TEXT = 512;
const TEXT_LINK = /\bhttps?:\/\/[^\s<>"'`]{1,2000}/gi;

const params = z.object({ id: z.string().max(MAX_TEXT).describe('Id of a message (`msg_...`).') });

/** Adds the three calls under `/v1/messages/{id}/preview`. */
export function addPreview(api: Api, { history, signatures, log }: PreviewDeps): void {
  api.get(
    '/v1/messages/:id/preview',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'previewMessage',
        tags: ['messages'],
        summary: 'A captured message as it reads',
        description: 'Only mail that a sandbox route captured, while it is kept.',
        params,
        response: { 200: preview, ...problems('not-found') },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const content = await contentOf(id);
      if (content === null) return nothing(reply);
      logContentRead(log, request, id);
      return wirePreview(openMail(content), await signatures().check(content));
    },
  );

  api.get(
    '/v1/messages/:id/preview/html',
    { config: { scope: 'admin' }, schema: { params, hide: true } },
    async ({ params: { id } }, reply) => {
      const content = await contentOf(id);
      const html = content === null ? null : openMail(content).html;
      if (html === null) return nothing(reply);
      return reply
        .headers({
          'content-security-policy': MAIL_POLICY,
          'x-frame-options': 'SAMEORIGIN',
          'x-dns-prefetch-control': 'off',
        })
        .type('text/html; charset=utf-8')
        .send(html + UNTOUCHED);
    },
  );

  api.get(
    '/v1/messages/:id/preview/attachments/:number',
    {
      config: { scope: 'admin' },
      schema: { params: params.extend({ number: z.string().regex(/^\d{1,3}$/) }), hide: true },
    },
    async ({ params: { id, number } }, reply) => {
      const content = await contentOf(id);
      const attachment = content === null ? undefined : openMail(content).attachments[Number(number)];
      if (attachment === undefined) return nothing(reply);
      // Never shown by the browser, whatever the mail calls it.
      const name = encodeURIComponent(attachment.name === '' ? `attachment-${number}` : attachment.name);
      return reply
        .header('content-disposition', `attachment; filename*=UTF-8''${name.replace(/['()*]/g, '')}`)
        .type('application/octet-stream')
        .send(Buffer.from(attachment.octets));
    },
  );

  async function contentOf(text: string): Promise<Uint8Array | null> {
    const id = parseMessageId(text);
    const message = id === null ? null : await history.message(id);
    if (id === null || message === null || !message.contentKept) return null;
    return isCaptured(message, await history.attempts(id)) ? readContent(id) : null;
  }

  function readContent(id: MessageId): Promise<Uint8Array | null> {
    return history.content(id);
  }
}

function nothing(reply: FastifyReply): FastifyReply {
  return refuse(
    reply,
    'not-found',
    'There is no such message, it was not captured by a sandbox route, or its content is gone.',
  );
}

/** Whether a sandbox route took the message for each of its recipients. */
function isCaptured(message: MessageView, attempts: readonly AttemptView[]): boolean {
  return message.deliveries.every(({ id, state }) => {
    const last = attempts.findLast((attempt) => attempt.deliveryId === id);
    return state === 'delivered' && last?.outcome === 'delivered' && last.next_hop === 'sandbox';
  });
}

function wirePreview(mail: OpenedMail, checks: Awaited<ReturnType<SignatureCheck['check']>>): WirePreview {
  const field = (name: string): string | null =>
    mail.fields.find((each) => each.name.toLowerCase() === name)?.value ?? null;
  const html = mail.html === null ? null : readHtml(mail.html, MAX_LINKS);
  const inText = (mail.text?.match(TEXT_LINK) ?? []).map((address) => address.replace(/[.,;:!?)\]]+$/, ''));
  const inHtml = (html?.addresses ?? []).filter(({ raw }) => !/^(?:data|cid):/i.test(raw.trim()));
  return {
    subject: field('subject'),
    from: field('from'),
    to: field('to'),
    date: field('date'),
    fields: mail.fields.map(({ name, value }): WireHeaderField => ({ name, value })),
    text: mail.text,
    has_html: mail.html !== null,
    links: [
      ...inHtml.map(({ kind, raw, shown }) => ({
        part: 'html' as const,
        kind,
        address: raw.trim(),
        text: (shown[0] ?? '').trim(),
      })),
      ...inText.map((address) => ({ part: 'text' as const, kind: 'text', address, text: '' })),
    ].slice(0, MAX_LINKS),
    attachments: mail.attachments.map(({ name, type, octets, inline }, number) => ({
      number,
      name,
      type,
      size: octets.length,
      inline,
    })),
    signatures: checks.map(({ domain, selector, algorithm, result, reason }) => ({
      domain,
      selector,
      algorithm,
      result,
      reason,
    })),
    whole: mail.whole,
  };
}
