/**
 * Calls to the relay's API: JSON there and back, the session's cookie goes along by itself, errors as `ApiError`.
 *
 * Nothing is ever asked of another host. A call that takes longer than 15 s is given up.
 */

export interface ProblemBody {
  readonly title?: string;
  readonly detail?: string;
  readonly code?: string;
  readonly request_id?: string;
}

/** An answer that is none, in words for the person in front of the screen. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;

  constructor(status: number, problem: ProblemBody) {
    super(problem.detail ?? problem.title ?? `The relay answered with ${status}.`);
    this.name = 'ApiError';
    this.status = status;
    this.code = problem.code ?? '';
    this.requestId = problem.request_id ?? null;
  }
}

const TIMEOUT_MS = 15_000;

export type QueryValues = Readonly<Record<string, string | number | null | undefined>>;

/** `path` with the values that are there, each encoded. */
export function pathWith(path: string, query: QueryValues): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === null || value === '' ? [] : [[name, String(value)]],
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`;
}

/** Calls the API; resolves with the answer's JSON (null for an empty one), rejects with an `ApiError`. */
export async function call<T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T> {
  const text = await send(method, path, 'application/json', body);
  return JSON.parse(text === '' ? 'null' : text);
}

/** GET, with the query's values. */
export function get<T>(path: string, query: QueryValues = {}): Promise<T> {
  return call('GET', pathWith(path, query));
}

/** GET of something that is no JSON, as text. */
export function getText(path: string): Promise<string> {
  return send('GET', path, '*/*');
}

async function send(method: string, path: string, accept: string, body?: unknown): Promise<string> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      redirect: 'error',
      headers: {
        accept: `${accept}, application/problem+json`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, {
      detail: 'The relay does not answer. Is it running, and is this machine still connected to it?',
    });
  }
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, problemOf(text));
  return text;
}

function problemOf(text: string): ProblemBody {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    // Not from the relay: something between us and it.
    return {};
  }
}
