/** Tables on a terminal. */
import { clean, cut } from '../api/story/clean.ts';

const GAP = '  ';

export interface Column {
  readonly title: string;
  readonly align?: 'right';
}

/** Cells of the last column keep at least this many characters; a narrower terminal wraps. */
const MIN_LAST_COLUMN = 20;

/** Rows under titles, one line each. The last column is cut so that lines fit into `width` columns. Cells are cleaned. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => row.map(clean))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => [...(row[index] ?? '')].length)));
  const last = columns.length - 1;
  const before = widths.slice(0, last).reduce((sum, each) => sum + each + GAP.length, 0);
  const lastWidth = Math.max(MIN_LAST_COLUMN, width - before);
  return cells
    .map((row) => {
      const line = row.map((cell, index) => {
        const shown = index === last ? cut(cell, lastWidth) : cell;
        return columns[index]?.align === 'right'
          ? shown.padStart(widths[index] ?? 0)
          : shown.padEnd(widths[index] ?? 0);
      });
      return `${line.join(GAP).trimEnd()}\n`;
    })
    .join('');
}
