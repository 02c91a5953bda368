/**
 * The known word nearest to a mistyped one, for "did you mean ...?".
 *
 * Distance is counted in insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
 */

const MAX_WORD_CHARS = 64;

/** The word of `known` that `word` is likely a slip of, or null. */
export function nearMatch(word: string, known: readonly string[]): string | null {
  if (word.length > MAX_WORD_CHARS) return null;
  const asked = word.toLowerCase().replaceAll('-', '_');
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    if (candidate === word || candidate.length > MAX_WORD_CHARS) continue;
    const distance = editDistance(asked, candidate.toLowerCase().replaceAll('-', '_'));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `` did you mean `x`? `` when one of `known` is near, else `otherwise`. */
export function didYouMean(word: string, known: readonly string[], otherwise: string): string {
  const near = nearMatch(word, known);
  return near === null ? otherwise : `did you mean \`${near}\`?`;
}

function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (beforeLast[column - 2] ?? 0) + 1 : Infinity,
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}
