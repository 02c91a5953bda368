/**
 * How the pages are built: one script, one style sheet, names with a hash, nothing from elsewhere.
 *
 * One bundle, so that a tab that is open while the relay is updated never asks for a piece that is gone. No source maps: the
 * sources are in the repository. `npm run build` says where the pages go with `--outDir`; for `npm start` it is `src/setup.mjs`.
 */
import react from '@vitejs/plugin-react';
import { defineConfig, type UserConfig } from 'vite';

const config: UserConfig = defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  logLevel: 'warn',
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
});

export default config;
