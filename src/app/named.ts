/** Which names the config knows: those that may stand in labels of metrics. */
import type { Config } from '../config/types.ts';
import type { MetricNames } from '../telemetry/metric-labels.ts';

/** The tags and routes that `config` names: a tag under `tags`, as a credential's own, or in a rule. */
export function namedIn(config: Pick<Config, 'tags' | 'credentials' | 'rules' | 'routes'>): MetricNames {
  const tags = new Set(config.tags.keys());
  for (const { tag } of config.credentials) if (tag !== null) tags.add(tag);
  for (const { when } of config.rules) for (const tag of when.tag ?? []) tags.add(tag);
  return { tags, routes: config.routes };
}
