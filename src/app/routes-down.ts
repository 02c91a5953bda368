/** Which routes were down when the relay stopped, by the last word of the log on each: they are probed before mail goes there. */
import type { HistoryStore } from '../store/history.ts';

/** Newer changes than these are all that count; more routes than this do not change state in turns. */
const CHANGES = 500;

/** Names of the routes whose last event is `route.down`. */
export async function routesDown(history: Pick<HistoryStore, 'events'>): Promise<ReadonlySet<string>> {
  const down = new Set<string>();
  for (const { type, data } of await history.events({ types: ['route.down', 'route.up'], limit: CHANGES })) {
    if (data.route === undefined) continue;
    if (type === 'route.down') down.add(data.route.name);
    else down.delete(data.route.name);
  }
  return down;
}
