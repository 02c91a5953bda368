/** Colours for a terminal; without them every function returns its text as it is. */
import { styleText } from 'node:util';

export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
}

/** A set of colours, or of none. */
export function createPaint(hasColor: boolean): Paint {
  const style =
    (format: Parameters<typeof styleText>[0]) =>
    (text: string): string =>
      hasColor ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: style('bold'),
    dim: style('dim'),
    green: style('green'),
    yellow: style('yellow'),
    red: style('red'),
  };
}

/** The colour that a state or event kind is shown in: green is well, yellow may become well, red is the end. */
export function paintState(paint: Paint, state: string, text: string = state): string {
  switch (state) {
    case 'delivered':
    case 'route.up':
      return paint.green(text);
    case 'deferred':
    case 'delayed':
    case 'queued':
    case 'sending':
    case 'superseded':
    case 'moved on':
      return paint.yellow(text);
    case 'accepted':
      return paint.bold(text);
    default:
      return paint.red(text);
  }
}
