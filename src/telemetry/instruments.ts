/** Makes prom-client's instruments from the list in `metric-names.ts`, so that no metric can have another name or label. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type MetricKey, METRICS } from './metric-names.ts';

type KeyOf<Type extends string> = {
  [K in MetricKey]: (typeof METRICS)[K]['type'] extends Type ? K : never;
}[MetricKey];
type LabelOf<K extends MetricKey> = (typeof METRICS)[K]['labels'][number];

export interface Instruments {
  counter<K extends KeyOf<'counter'>>(key: K): Counter<LabelOf<K>>;
  gauge<K extends KeyOf<'gauge'>>(key: K): Gauge<LabelOf<K>>;
  /** `buckets`: upper bounds in the metric's unit. */
  histogram<K extends KeyOf<'histogram'>>(key: K, buckets: readonly number[]): Histogram<LabelOf<K>>;
}

/** Instruments in `registry`; each key may be asked for once. */
export function createInstruments(registry: Registry): Instruments {
  const registers = [registry];
  return {
    counter: (key) => new Counter({ ...spec(key), registers }),
    gauge: (key) => new Gauge({ ...spec(key), registers }),
    histogram: (key, buckets) => new Histogram({ ...spec(key), buckets: [...buckets], registers }),
  };
}

function spec<K extends MetricKey>(key: K): { name: string; help: string; labelNames: LabelOf<K>[] } {
  const { name, help, labels } = METRICS[key];
  return { name, help, labelNames: [...labels] };
}
