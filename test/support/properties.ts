/**
 * fast-check for property tests. Its values are other ones in each run on a developer's machine, where whoever meets a new
 * counterexample can look at it; in CI (`CI=true`) they are the same in every run, so that a change is judged by what it changed.
 * `PROPERTY_SEED=n` chooses them in both.
 */
import fc from 'fast-check';

const CI_SEED = 20_261_128;

const chosen = process.env['PROPERTY_SEED'] ?? (process.env['CI'] === 'true' ? CI_SEED : undefined);
if (chosen !== undefined) fc.configureGlobal({ seed: Number(chosen) });

export default fc;
