/** Interim answers of HTTP (1xx), which may come without end before the real one, and each of which costs (RFC 9110, section 15.2). */
import type { ClientRequest } from 'node:http';

/** Of one request. */
const MAX_INTERIM = 16;

/** Calls `refuse`, once, with the reason for people when `request` is answered with too many of them. */
export function limitInterim(request: ClientRequest, refuse: (reason: string) => void): void {
  let interim = 0;
  request.on('information', () => {
    interim++;
    if (interim === MAX_INTERIM) refuse(`more than ${MAX_INTERIM} interim answers (1xx)`);
  });
}
