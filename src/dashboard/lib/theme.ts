/** Light, dark, or as the system has it. What was chosen is kept in this browser; `public/assets/theme.js` sets it before the first paint. */
import { useState } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const ORDER: readonly Theme[] = ['system', 'light', 'dark'];

function chosen(): Theme {
  const value = document.documentElement.dataset['theme'];
  return value === 'light' || value === 'dark' ? value : 'system';
}

function apply(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  try {
    if (theme === 'system') localStorage.removeItem('theme');
    else localStorage.setItem('theme', theme);
  } catch {
    // No storage allowed: it holds for this tab.
  }
  dispatchEvent(new Event('themechange'));
}

/** The look, and the step to the next one. */
export function useTheme(): { readonly theme: Theme; readonly next: () => void } {
  const [theme, setTheme] = useState(chosen);
  return {
    theme,
    next() {
      const following = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length] ?? 'system';
      apply(following);
      setTheme(following);
    },
  };
}
