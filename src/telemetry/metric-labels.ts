/** Values of labels that come from the config: a tag or a route that is not in it counts as `other`. */
import { RECOVERY_TAGS } from '../core/message.ts';

export interface MetricNames {
  readonly tags: Iterable<string>;
  /** Routes by name, with their type. */
  readonly routes: ReadonlyMap<string, { readonly type: string }>;
}

export interface MetricLabels {
  tag(tag: string | null): string;
  route(route: string): string;
  /** `smtp`, `mx`, `sandbox`, or `other` for a route that is gone. */
  routeType(route: string): string;
  /** Every tag that may stand in a label, with `none` and `other`. */
  tags(): readonly string[];
  routes(): readonly string[];
  /** Takes the names of a new config. */
  set(names: MetricNames): void;
}

/** Labels for `names`. */
export function createMetricLabels(names: MetricNames): MetricLabels {
  let tags: ReadonlySet<string> = new Set();
  let routes: ReadonlyMap<string, string> = new Map();
  const set = (next: MetricNames): void => {
    tags = new Set([...RECOVERY_TAGS, ...next.tags]);
    routes = new Map([...next.routes].map(([name, { type }]) => [name, type]));
  };
  set(names);
  return {
    tag: (tag) => (tag === null ? 'none' : tags.has(tag) ? tag : 'other'),
    route: (route) => (routes.has(route) ? route : 'other'),
    routeType: (route) => routes.get(route) ?? 'other',
    tags: () => [...tags, 'none', 'other'],
    routes: () => [...routes.keys()],
    set,
  };
}
