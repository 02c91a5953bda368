// Before the first paint: the look that was chosen here before, if it is not the system's. See lib/theme.ts.
try {
  const chosen = localStorage.getItem('theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch {
  // No storage allowed: the system's look it is.
}
