/**
 * A chart over time with uPlot: lines, a legend with the values under the pointer, and the same data as a table for who cannot see
 * it. Colours come from the style sheet, so that light and dark fit; it is drawn anew when the look or the width changes.
 */
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Series {
  readonly name: string;
  /** One a time; null: there is none. */
  readonly values: readonly (number | null)[];
}

const HEIGHT = 220;
/** Pixels left of the chart: `1 min 40 s` and its tick, no more, for on a phone they are a fifth of it. */
const FIGURES = { size: 74, gap: 3, tick: 5 } as const;
/** Of uPlot's templates: step from, text, and what is added below it on a new year, month, day. The pages write 24 hours everywhere. */
const TIMES: uPlot.Axis.Values = [
  [24 * 3600, '{MMM} {D}', null, null, null, null, null, null, 1],
  [1, '{HH}:{mm}', '\n{MMM} {D}', null, '\n{MMM} {D}', null, null, null, 1],
];
const COLOURS = ['--chart-1', '--chart-2', '--chart-3', '--chart-4', '--chart-5', '--chart-6'] as const;

export function Chart({
  times,
  series,
  format,
  scale,
  label,
}: {
  /** Epoch seconds, ascending. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  readonly scale: 'linear' | 'log';
  readonly label: string;
}) {
  const place = useRef<HTMLDivElement>(null);
  const look = useLook();
  const data = JSON.stringify([times, series]);

  useEffect(() => {
    const box = place.current;
    if (box === null) return undefined;
    const style = getComputedStyle(box);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const points = times.length < 40;
    const plot = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        cursor: { y: false },
        legend: { live: true },
        scales: {
          x: { time: true },
          y: scale === 'log' ? { distr: 3, log: 10 } : { range: (_, __, max) => [0, Math.max(1, max * 1.1)] },
        },
        axes: [
          {
            stroke: colour('--faint'),
            grid: { stroke: colour('--line'), width: 1 },
            ticks: { stroke: colour('--line') },
            values: TIMES,
          },
          {
            stroke: colour('--faint'),
            grid: { stroke: colour('--line'), width: 1, ...(scale === 'log' ? { filter: decades } : {}) },
            ticks: { stroke: colour('--line'), size: FIGURES.tick, ...(scale === 'log' ? { filter: decades } : {}) },
            size: FIGURES.size,
            gap: FIGURES.gap,
            values: (_, values) => values.map((value) => (value === null ? '' : format(value))),
          },
        ],
        series: [
          { label: 'Time', value: '{MMM} {D} {HH}:{mm}' },
          ...series.map(({ name }, index) => ({
            label: name,
            stroke: colour(COLOURS[index % COLOURS.length] ?? '--accent'),
            width: 1.75,
            spanGaps: false,
            points: { show: points, size: 5, ...(points ? {} : { filter: alone }) },
            value: (_: uPlot, value: number | null) => (value === null ? '–' : format(value)),
          })),
        ],
      },
      [[...times], ...series.map(({ values }) => values.map((value) => (scale === 'log' && value === 0 ? 1 : value)))],
      box,
    );
    const watcher = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT }));
    watcher.observe(box);
    return () => {
      watcher.disconnect();
      plot.destroy();
    };
  }, [data, format.toString(), scale, look]);

  return (
    <figure className="chart" aria-label={label}>
      <div ref={place} />
      <figcaption className="visually-hidden">
        <table>
          <caption>{label}</caption>
          <tbody>
            {series.map(({ name, values }) => {
              const last = values.findLast((value) => value !== null);
              return (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>{last == null ? 'none' : `last ${format(last)}`}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </figcaption>
    </figure>
  );
}

/** Of a logarithmic axis the powers of ten: ten lines in each are a grey wall on a phone. */
function decades(_: uPlot, splits: number[]): (number | null)[] {
  return splits.map((value) => (Number.isInteger(Math.log10(value)) ? value : null));
}

/** The values that have no neighbour: no line shows them, so they get a point each. */
function alone(plot: uPlot, index: number): number[] {
  const values = plot.data[index] ?? [];
  return [...values.keys()].filter((at) => values[at] != null && values[at - 1] == null && values[at + 1] == null);
}

/** Changes when the page's look does. */
function useLook(): number {
  const [look, setLook] = useState(0);
  useEffect(() => {
    const system = matchMedia('(prefers-color-scheme: dark)');
    const changed = (): void => setLook((value) => value + 1);
    system.addEventListener('change', changed);
    addEventListener('themechange', changed);
    return () => {
      system.removeEventListener('change', changed);
      removeEventListener('themechange', changed);
    };
  }, []);
  return look;
}
