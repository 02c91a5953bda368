/**
 * Lists by keyboard: `j`/`k` or the arrows move, Enter opens, Home and End jump. Rows are found in the page, so that a list that
 * grows or shrinks while someone reads it keeps its place.
 */
import { useEffect, type KeyboardEvent, type RefObject } from 'react';

const ROWS = 'tr.row';

function rowsOf(list: HTMLElement | null): readonly HTMLElement[] {
  return list === null ? [] : [...list.querySelectorAll<HTMLElement>(ROWS)];
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, select, textarea, dialog, [contenteditable]') !== null;
}

/** Moves the focus among the rows of `list`, wherever on the page the keys are pressed. */
export function useRowKeys(list: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent): void => {
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      const rows = rowsOf(list.current);
      const at = rows.findIndex((row) => row === document.activeElement);
      const to = target(event.key, at, rows.length);
      const row = to === null ? undefined : rows[to];
      if (row === undefined) return;
      event.preventDefault();
      row.focus();
      row.scrollIntoView({ block: 'nearest' });
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [list]);
}

function target(key: string, at: number, length: number): number | null {
  switch (key) {
    case 'j':
    case 'ArrowDown':
      return Math.min(at + 1, length - 1);
    case 'k':
    case 'ArrowUp':
      return at <= 0 ? 0 : at - 1;
    case 'Home':
      return at < 0 ? null : 0;
    case 'End':
      return at < 0 ? null : length - 1;
    default:
      return null;
  }
}

/** Props of a row that `open`s something. */
export function rowProps(open: () => void, label: string) {
  return {
    className: 'row',
    tabIndex: 0,
    'aria-label': label,
    onClick: (): void => {
      // Marking text with the mouse is no wish to leave.
      if (getSelection()?.isCollapsed !== false) open();
    },
    onKeyDown: (event: KeyboardEvent<HTMLElement>): void => {
      if (event.key === 'Enter' && event.target === event.currentTarget) open();
    },
  };
}
