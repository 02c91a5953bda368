/**
 * The dashboard's pages: files that were built before, served at `/`, and their addresses, which all answer with the same page.
 *
 * Nothing of a mail is in them: what they show comes from the API, with its own question of who may read. They hold no inline
 * script or style, so the policy that goes with them allows none; requests go to this server alone. Without built pages `/`
 * says so, and why, in plain text; the rest of the relay is not concerned.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errorCode, errorText } from '../core/errors.ts';

/** Where the pages lie: beside this room in the sources and in dist/ alike. */
const FOLDER: string = fileURLToPath(new URL('../dashboard/dist/', import.meta.url));
/** Left by `src/setup.mjs` when it could not build them. */
const BUILD_ERROR = 'build-error.txt';

/**
 * `style-src 'self'` leaves React and uPlot their way of styling, which is by property and no text. Mail is shown in a frame whose
 * document has a policy of its own (`preview.ts`).
 */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "frame-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Addresses that belong to a view. `*`: one view for many things. */
const VIEWS: readonly string[] = [
  '/',
  '/messages/*',
  '/flows/*',
  '/queue',
  '/routes',
  '/suppressions',
  '/webhooks',
  '/webhooks/*',
  '/statistics',
  '/senders',
];

/** Built files have a hash in their name and never change; the few without one are looked at again each time. */
const HASHED = /-[\w-]{8}\.(?:js|css)$/;
const ONE_YEAR_S = 31_536_000;

/**
 * Adds the pages to `server`. `folder` is where the built ones lie. What comes back answers a request for which there is nothing
 * with the page that says so, when a person in a browser asks and the pages are there; false: it did not.
 */
export function addPages(server: FastifyInstance, folder: string = FOLDER): (reply: FastifyReply) => boolean {
  const page = (reply: FastifyReply): FastifyReply => {
    const read = readPage(folder);
    if (read.kind === 'missing') return reply.code(503).type('text/plain; charset=utf-8').send(read.text);
    return reply.header('content-security-policy', PAGE_POLICY).type('text/html; charset=utf-8').send(read.html);
  };
  for (const view of VIEWS) server.get(view, (_request, reply) => page(reply));

  void server.register(fastifyStatic, {
    root: `${folder}assets`,
    prefix: '/assets/',
    index: false,
    decorateReply: false,
    cacheControl: false,
    setHeaders(response, path) {
      void response.header('cache-control', HASHED.test(path) ? `max-age=${ONE_YEAR_S}, immutable` : 'no-cache');
    },
  });

  return (reply) => {
    void reply.header('vary', 'accept');
    if (!isPerson(reply.request) || readPage(folder).kind === 'missing') return false;
    void page(reply.code(404));
    return true;
  };
}

/** Whether a browser asks for something to show. Calls of the API are for programs, whoever makes them. */
function isPerson({ method, url, headers }: FastifyRequest): boolean {
  return method === 'GET' && !/^\/v1(?:[/?]|$)/.test(url) && (headers.accept ?? '').includes('text/html');
}

type Page = { readonly kind: 'page'; readonly html: Buffer } | { readonly kind: 'missing'; readonly text: string };

/** Read each time: it is small, and set-up may have built it anew. */
function readPage(folder: string): Page {
  try {
    return { kind: 'page', html: readFileSync(`${folder}index.html`) };
  } catch (error) {
    const why = errorCode(error) === 'ENOENT' ? buildError(folder) : errorText(error);
    return {
      kind: 'missing',
      text: `Leadpush Relay runs, but the pages of its dashboard are not here.

${why}

Everything about the mail is on the command line of this machine too:

  leadpush-relay tail -f          what happens, as it happens
  leadpush-relay trace ADDRESS    what happened to the mail for one recipient
  leadpush-relay queue            what waits, and why
  leadpush-relay stats            counts and delivery times by tag

and for programs: /v1 (described at /docs), /healthz, /readyz, /metrics.
`,
    };
  }
}

function buildError(folder: string): string {
  try {
    return `Building them failed:\n\n${readFileSync(`${folder}${BUILD_ERROR}`, 'utf8')}`;
  } catch {
    return 'They were not built: `npm start` does it, and `npm run build` for the package.';
  }
}
